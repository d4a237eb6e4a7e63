"""Reads the images of clips from loose files."""

import tensorflow as tf

from vidrec.packs import IMAGES
from vidrec.pipeline import decoding


class LooseImages:
    """The images of a table of videos in a store of loose files.

    Args:
        store: Store.
        video_ids: sequence of str, the table's order.
    """

    REPAIR = "`vidrec audit --repair` extracts it again."

    def __init__(self, store, video_ids):
        self._store, self._video_ids = store, list(video_ids)
        self._endings, self._prefixes = {}, {}
        for kind in ("frame", "flow_x", "flow_y"):
            parts = [store.names.parts(kind, video_id) for video_id in video_ids]
            self._endings[kind] = parts[0][1:]
            self._prefixes[kind] = tf.constant([str(store.root / prefix) for prefix, *_ in parts])

    def frames(self, video, indices):
        """JPGs, string (T,): frames `indices`, int32 (K, M), T = K * M, of video number `video`."""
        return decoding.read_files(self._paths("frame", video, tf.reshape(indices, [-1])))

    def flow(self, video, indices):
        """JPGs, string (T, 2L): flow pairs `indices`, int32 (T, L), of video number `video`."""
        pairs = [self._paths(kind, video, indices) for kind in ("flow_x", "flow_y")]
        return decoding.read_files(tf.reshape(tf.stack(pairs, axis=-1), [indices.shape[0], -1]))

    def names(self, kind, video, index):
        """The paths of an image ("frames"), or of both of a flow pair ("flow"): list of str."""
        return [
            str(self._store.path(image, self._video_ids[video], index + 1))
            for image in IMAGES[kind]
        ]

    def _paths(self, kind, video, indices):
        digits, suffix = self._endings[kind]
        return decoding.image_paths(self._prefixes[kind][video], indices + 1, digits, suffix)
