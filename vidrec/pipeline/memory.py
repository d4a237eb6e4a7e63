"""Holds the JPGs of videos in memory, so that a slow disk or a network drive is read once."""

import os

import numpy as np
import tensorflow as tf

from vidrec.packs import KINDS
from vidrec.pipeline.guard import plain

SHARE = 0.8  # of the machine's memory that JPGs may take
SAMPLE = 1024  # images of each kind, spread over all, from which the size of all is reckoned


class MemoryImages:
    """The images of a table of videos, from memory. They stay encoded: pixels are 10 to 20 times as
    large.

    Args:
        images: LooseImages or PackedImages, which are read to their end here.
        table: DataFrame with n_frames and n_flow.
        modalities: "rgb", "flow" or both, what is needed.

    Raises:
        OSError: if one cannot be read; names it.
        ValueError: if they do not fit, with the size that they would have.
    """

    def __init__(self, images, table, modalities):
        self.REPAIR, self.names = images.REPAIR, images.names
        counts = {"frames": np.asarray(table.n_frames), "flow": np.asarray(table.n_flow)}
        kinds = [KINDS[modality] for modality in modalities]
        firsts = {kind: np.cumsum(counts[kind]) - counts[kind] for kind in kinds}
        places = {kind: _places(counts[kind], firsts[kind]) for kind in kinds}
        try:
            self._check_size(images, places)
            self._images = {kind: _read(images, kind, places[kind]) for kind in kinds}
        except tf.errors.OpError as error:
            raise OSError(f"{plain(error)}. {self.REPAIR}") from error
        with tf.device("CPU"):
            self._firsts = {kind: tf.constant(firsts[kind]) for kind in kinds}

    def frames(self, video, indices):
        """JPGs, string (T,): frames `indices`, int32 (K, M), T = K * M, of video number `video`."""
        return tf.reshape(self._gather("frames", video, indices), [-1])

    def flow(self, video, indices):
        """JPGs, string (T, 2L): flow pairs `indices`, int32 (T, L), of video number `video`."""
        return tf.reshape(self._gather("flow", video, indices), [indices.shape[0], -1])

    def _gather(self, kind, video, indices):
        return tf.gather(self._images[kind], self._firsts[kind][video] + tf.cast(indices, tf.int64))

    @staticmethod
    def _check_size(images, places):
        number, size = 0, 0
        for kind, (videos, indices) in places.items():
            some = np.linspace(0, len(videos) - 1, min(SAMPLE, len(videos))).astype(int)
            jpgs = _read(images, kind, (videos[some], indices[some]))
            number += len(videos)
            size += int(tf.reduce_sum(tf.strings.length(jpgs))) / len(some) * len(videos)
        limit = SHARE * _memory()
        if size > limit:
            raise ValueError(
                f"The images must fit into {limit / 2**30:.1f} GiB, {SHARE:.0%} of this machine's "
                f"memory. Received: {number} frames and flow pairs of about "
                f"{size / number / 1024:.1f} KiB, which is {size / 2**30:.1f} GiB. Pack them onto "
                "a local disk instead (`vidrec pack`)."
            )


def _places(counts, firsts):
    """Video number and index, int, of each image."""
    videos = np.repeat(np.arange(len(counts)), counts)
    indices = np.arange(len(videos)) - np.repeat(firsts, counts)
    return videos, indices.astype(np.int32)


def _read(images, kind, places):
    """Images of one kind: string (R, 1) or, of flow, (R, 2)."""
    data = tf.data.Dataset.from_tensor_slices(places).map(
        lambda video, index: tf.reshape(getattr(images, kind)(video, index[None, None]), [-1]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return data.batch(len(places[0])).get_single_element()


def _memory():
    """Bytes of memory of this machine; without end where the system does not tell."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
