"""Reads the images of clips from a pack (`vidrec.packs`): the same images, of far fewer files.

Everything happens in the graph: a segment's images are consecutive records, which are read in one
pass from the byte where the first begins. TensorFlow checks the CRC of each.
"""

import numpy as np
import tensorflow as tf

from vidrec import packs

READ_BYTES = 64 << 10  # at a time: a frame or two (experiments/benchmarks/pack.py)


def locate(root, table, modalities):
    """Finds the records of a table's videos.

    Args:
        root: path of a pack.
        table: DataFrame with video_id, n_frames and n_flow.
        modalities: "rgb", "flow" or both, what is needed.

    Returns:
        dict by kind ("frames", "flow") of (files, firsts, offsets), numpy: the path of the file
        (V,) and the position in `offsets` of the first record (V,) of each video of the table, and
        the bytes in their files at which records begin, int64 (R,).

    Raises:
        FileNotFoundError: if there is no pack.
        ValueError: if it is not complete, a file is not whole, or the tables do not name as many
            records as the index promises.
    """
    manifest = packs.Manifest.read_complete(root)
    return {
        kind: _locate_kind(root, table, kind, manifest.files[kind])
        for modality, kind in packs.KINDS.items()
        if modality in modalities
    }


def _locate_kind(root, table, kind, files):
    numbers = table.n_frames if kind == "frames" else table.n_flow
    wanted = dict(zip(table.video_id, numbers, strict=True))
    found, offsets, total = {}, [], 0
    for number in range(files):
        path = str(packs.records_path(root, kind, number))
        records = packs.RecordTable.read(root, kind, number)
        for video_id, first, count in records.places():
            if wanted.get(video_id) == count:
                found[video_id] = path, total
                offsets.append(records.offsets[first : first + count])
                total += count
    lacking = [video_id for video_id in wanted if video_id not in found]
    if lacking:
        more = " ..." if len(lacking) > 5 else ""
        raise ValueError(
            f"{len(lacking)} videos have not as many {kind} in the pack {root} as its index "
            f"promises. Received: {lacking[:5]}{more}. Copy the pack again, or pack again into an "
            "empty folder."
        )
    paths, firsts = zip(*(found[video_id] for video_id in table.video_id), strict=True)
    return np.array(paths), np.array(firsts, np.int64), np.concatenate(offsets)


class PackedImages:
    """The images of a table of videos in a pack.

    Args:
        places: what `locate` returned.
        video_ids: sequence of str, the table's order.
    """

    REPAIR = "Copy the pack again, or pack again into an empty folder."

    def __init__(self, places, video_ids):
        self._video_ids = list(video_ids)
        with tf.device("CPU"):  # where the pipeline looks them up
            self._places = {
                kind: [tf.constant(a) for a in arrays] for kind, arrays in places.items()
            }

    def frames(self, video, indices):
        """JPGs, string (T,): frames `indices`, int32 (K, M), T = K * M, of video number `video`.

        Each row begins with its least index and ends with its greatest.
        """
        return tf.reshape(self._images("frames", video, indices), [-1])

    def flow(self, video, indices):
        """JPGs, string (T, 2L): flow pairs `indices`, int32 (T, L), of video number `video`.

        Each row begins with its least index and ends with its greatest.
        """
        return tf.reshape(self._images("flow", video, indices), [indices.shape[0], -1])

    def names(self, kind, video, index):
        """What messages call an image ("frames"), or both of a flow pair ("flow"): list of str."""
        file = self._places[kind][0][video].numpy().decode()
        return [
            f"{image} {index + 1} of {self._video_ids[video]} in {file}"
            for image in packs.IMAGES[kind]
        ]

    def _images(self, kind, video, indices):
        """The JPGs, string (K, M, 1) or, of flow, (K, M, 2)."""
        files, firsts, offsets = self._places[kind]
        rows = []
        for row in tf.unstack(indices):
            count = tf.cast(row[-1] - row[0], tf.int64) + 1
            offset = offsets[firsts[video] + tf.cast(row[0], tf.int64)]
            records = _records_from(files[video], offset).take(count).batch(count)
            rows.append(tf.gather(records.get_single_element(), row - row[0]))
        images = tf.io.FixedLenFeature([len(packs.IMAGES[kind])], tf.string)
        examples = tf.io.parse_example(tf.concat(rows, 0), {"images": images})
        return tf.reshape(examples["images"], [*indices.shape, len(packs.IMAGES[kind])])


def _records_from(path, offset):
    """The records of a TFRecord file from a byte on; `tf.data.TFRecordDataset` takes no offset."""
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[None],
        compression_type="",
        buffer_size=tf.constant(READ_BYTES, tf.int64),
        byte_offsets=offset[None],
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
