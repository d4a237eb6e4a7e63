"""Holds the JPGs of videos in memory, so that a slow disk or a network drive is read once."""

import os

import numpy as np
import tensorflow as tf

from vidrec.packs import KINDS

SHARE = 0.8  # of the machine's memory that JPGs may take
CHUNK = 1024  # images that are read before the size of all is reckoned again


class MemoryImages:
    """The images of a table of videos, from memory. They stay encoded: pixels are 10 to 20 times as
    large.

    Args:
        images: LooseImages or PackedImages, which are read to their end here.
        table: DataFrame with n_frames and n_flow.
        modalities: "rgb", "flow" or both, what is needed.

    Raises:
        ValueError: if they do not fit, with the size that they would have.
    """

    def __init__(self, images, table, modalities):
        self.REPAIR, self.names = images.REPAIR, images.names
        self._firsts, self._images = {}, {}
        counts = {"frames": np.asarray(table.n_frames), "flow": np.asarray(table.n_flow)}
        limit = SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for kind in (KINDS[modality] for modality in modalities):
            found = _read_all(getattr(images, kind), counts[kind], limit)
            with tf.device("CPU"):
                self._firsts[kind] = tf.constant(np.cumsum(counts[kind]) - counts[kind])
                self._images[kind] = tf.concat(found, 0)

    def frames(self, video, indices):
        """JPGs, string (T,): frames `indices`, int32 (K, M), T = K * M, of video number `video`."""
        return tf.reshape(self._gather("frames", video, indices), [-1])

    def flow(self, video, indices):
        """JPGs, string (T, 2L): flow pairs `indices`, int32 (T, L), of video number `video`."""
        return tf.reshape(self._gather("flow", video, indices), [indices.shape[0], -1])

    def _gather(self, kind, video, indices):
        return tf.gather(self._images[kind], self._firsts[kind][video] + tf.cast(indices, tf.int64))


def _read_all(read, counts, limit):
    """All images of one kind: list of string (CHUNK, 1 or 2)."""
    videos = np.repeat(np.arange(len(counts)), counts)
    indices = np.arange(len(videos)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = tf.data.Dataset.from_tensor_slices((videos, indices.astype(np.int32)))
    data = places.map(
        lambda video, index: tf.reshape(read(video, index[None, None]), [-1]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    found, size = [], 0
    for chunk in data.batch(CHUNK).prefetch(1):
        found.append(chunk)
        size += int(tf.reduce_sum(tf.strings.length(chunk)))
        done = CHUNK * (len(found) - 1) + len(chunk)
        if size / done * len(videos) > limit:
            raise ValueError(
                f"The images must fit into {limit / 2**30:.1f} GiB, {SHARE:.0%} of this machine's "
                f"memory. Received: {len(videos)} of about {size / done / 1024:.1f} KiB, which is "
                f"{size / done * len(videos) / 2**30:.1f} GiB. Pack them onto a local disk instead "
                "(`vidrec pack`)."
            )
    return found
