"""Clips of both modalities cut into segments of several frames, for any number of segments.

Axis letters: B batch, K segments, F frames of a segment, T = K F, H W pixels, C channels.
"""

import keras
from keras import ops

from vidrec.models.layers.same_videos import check_same


@keras.saving.register_keras_serializable(package="vidrec")
class CutSegments(keras.layers.Layer):
    """RGB and flow, each (B, T, H, W, C), to (B, K, F, H, W, C); T may be unknown until run time.

    Args:
        frames: int >= 1, F.

    Raises:
        ValueError: if `frames` is less than 1, T is not K times F, or the two differ in B or T.
            Where only a graph that runs knows that T, the backend raises its own error, from an
            operation whose name says what must hold.
    """

    def __init__(self, frames, **kwargs):
        super().__init__(**kwargs)
        if frames < 1:
            raise ValueError(f"`frames` must be at least 1. Received: frames={frames}")
        self.frames = frames

    def call(self, rgb, flow):
        self._check(rgb.shape, flow.shape)
        batch = ops.shape(rgb)[0]
        with keras.name_scope(f"rgb_frames_must_be_segments_of_{self.frames}"):
            rgb = self._cut(rgb, batch)
        with keras.name_scope(f"flow_must_be_of_as_many_videos_in_segments_of_{self.frames}"):
            return rgb, self._cut(flow, batch)

    def compute_output_shape(self, rgb_shape, flow_shape):
        self._check(rgb_shape, flow_shape)
        return self._cut_shape(rgb_shape), self._cut_shape(flow_shape)

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}

    def _cut(self, clip, batch):
        segments = ops.shape(clip)[1] // self.frames
        return ops.reshape(clip, (batch, segments, self.frames, *clip.shape[2:]))

    def _cut_shape(self, shape):
        segments = None if shape[1] is None else shape[1] // self.frames
        return (shape[0], segments, self.frames, *shape[2:])

    def _check(self, rgb_shape, flow_shape):
        for name, (_, length, *_) in (("rgb", rgb_shape), ("flow", flow_shape)):
            if length is not None and (length % self.frames or not length):
                raise ValueError(
                    f"`{name}` must have whole segments of {self.frames} frames. "
                    f"Received: {length} frames"
                )
        for axis, what in enumerate(("videos", "frames")):
            check_same(rgb_shape, flow_shape, axis=axis, what=what)
