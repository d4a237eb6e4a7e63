"""Unpacks a pack: its images as loose files again, byte for byte, in the layout that they had."""

import contextlib

import tensorflow as tf

from vidrec import index_file
from vidrec.extraction.progress import progress_bar
from vidrec.files import new_folder
from vidrec.layouts import PACKED
from vidrec.packs import IMAGES, MANIFEST_NAME, Manifest, RecordTable, count, is_empty, records_path
from vidrec.store import Store


def unpack(root, out):
    """Writes the images and the index of a pack as loose files, in the layout that they had.

    Every record that is read is checked against its CRC. Videos that the index in `out` has are
    left as they are.

    Args:
        root: path of a pack.
        out: path of a folder that is new, empty, or was begun by unpacking the same pack.

    Returns:
        The index as a DataFrame.

    Raises:
        FileNotFoundError: if there is no pack.
        ValueError: if it is not complete or is damaged, or `out` holds anything else.
        RuntimeError: if another process is writing there.
    """
    manifest = Manifest.read_complete(root)
    rows = Store(root, PACKED).rows()
    loose = Store(out, manifest.layout)
    if not is_empty(loose.root):
        is_pack = (loose.root / MANIFEST_NAME).exists()  # perhaps this one: its rows are the same
        found = None if is_pack or not loose.index_path.exists() else loose.rows()
        if found is None or any(rows.get(name) != row for name, row in found.items()):
            raise ValueError(
                "`out` must be a new or empty folder, or one that was begun by unpacking the same "
                f"pack. Received: out={str(out)!r}. Choose another folder."
            )
    with loose.writing():
        if not loose.index_path.exists():  # marks the folder as ours before there is a row
            index_file.write(loose.index_path, Store(root, PACKED).index()[:0])
        done = loose.rows()
        todo = [row for row in rows.values() if row.video_id not in done]
        readers = {kind: _RecordReader(root, kind, manifest.files[kind]) for kind in IMAGES}
        total = sum(len(IMAGES[kind]) * count(row, kind) for row in todo for kind in IMAGES)
        with progress_bar("unpack", total, unit="images") as advance:
            for row in todo:
                advance(_unpack_video(loose, row, readers))
                loose.append(row)
        return loose.compact()


def _unpack_video(loose, row, readers):
    """Writes the images of one video, each folder by one rename; returns how many images."""
    written = 0
    with contextlib.ExitStack() as stack:
        folders = {}  # in some layouts frames and flow share one
        for kind, names in IMAGES.items():
            for folder in [loose.folder(name, row.video_id) for name in names if count(row, kind)]:
                if folder not in folders:
                    folders[folder] = stack.enter_context(new_folder(folder))
            for number, images in readers[kind].images(row):
                for name, data in zip(names, images, strict=True):
                    path = loose.path(name, row.video_id, number)
                    (folders[path.parent] / path.name).write_bytes(data)
                    written += 1
    return written


class _RecordReader:
    """The records of one kind, video by video in the order of the pack."""

    def __init__(self, root, kind, files):
        self.root, self.kind = root, kind
        self.number, self.records, self.position = None, None, 0
        self.places = {
            video_id: (number, first)
            for number in range(files)
            for video_id, first, _ in RecordTable.read(root, kind, number).places()
        }

    def images(self, row):
        """Yields (number, images of the record) of a video."""
        if count(row, self.kind) and row.video_id not in self.places:
            raise ValueError(
                f"The pack in {self.root} must hold the {self.kind} of {row.video_id!r}. Its "
                "tables do not name it. Copy it again, or pack again."
            )
        for number in range(1, count(row, self.kind) + 1):
            file, first = self.places[row.video_id]
            if file != self.number:
                data = tf.data.TFRecordDataset(str(records_path(self.root, self.kind, file)))
                self.number, self.records, self.position = file, data.as_numpy_iterator(), 0
            while self.position < first + number:
                record = self._next(row)
            yield number, self._parse(record, row, number)

    def _next(self, row):
        self.position += 1
        try:
            return next(self.records)
        except (tf.errors.OpError, StopIteration) as error:
            raise self._damaged(row, getattr(error, "message", "it ends here")) from error

    def _parse(self, record, row, number):
        feature = tf.train.Example.FromString(record).features.feature
        found = (
            feature["video_id"].bytes_list.value[:],
            feature["kind"].bytes_list.value[:],
            feature["number"].int64_list.value[:],
        )
        images = feature["images"].bytes_list.value
        if found != ([row.video_id.encode()], [self.kind.encode()], [number]):
            raise self._damaged(row, f"the record is of {found}")
        if len(images) != len(IMAGES[self.kind]):
            raise self._damaged(row, f"the record has {len(images)} images")
        return images

    def _damaged(self, row, problem):
        path = records_path(self.root, self.kind, self.number)
        return ValueError(
            f"{path} is damaged at record {self.position - 1}, where the {self.kind} of "
            f"{row.video_id!r} must be: {problem}. Copy the file again, or pack again."
        )
