"""Sampling policies by name: which frames of a video a clip takes, in training and in a test."""

import dataclasses

import tensorflow as tf

from vidrec.pipeline import sampling

POLICIES = ("segments", "strided", "even", "intervals", "consecutive")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the T frames of a clip are chosen: at random in training, and in a test if it has draws.

    policy                           at random                         without draws

    "segments" (Qiao et al., 3.4)    a random start of each segment    the middle one
    "strided" (deep fusion, 3.6)     random first frame and interval   spread over all frames
    "even" (VCM-SDD 4.1, HST)        random in each of T equal parts   the middle of each
    "intervals" (T-STAM 4.3.1)       random in each of T intervals     evenly spaced
    "consecutive" (3D networks)      a random place                    views over the whole video

    Attributes:
        policy: one of POLICIES.
        interval: (low, high) of "strided", frames.
        parts: int >= 1, of "even" in training: the clip is one of so many parts of the video.
        step: int >= 1, of "consecutive", frames.

    Raises:
        ValueError: if an option is outside its range, or given to another policy than its own.
    """

    policy: str = "segments"
    interval: tuple[int, int] = (2, 10)
    parts: int = 1
    step: int = 1

    def __post_init__(self):
        object.__setattr__(self, "interval", tuple(self.interval))
        if self.policy not in POLICIES:
            raise ValueError(
                f"`policy` must be one of {POLICIES}. Received: policy={self.policy!r}"
            )
        low, high = self.interval
        if not 1 <= low <= high:
            raise ValueError(
                "`interval` must be (low, high) with 1 <= low <= high. "
                f"Received: interval={self.interval}"
            )
        for name, owner in (("parts", "even"), ("step", "consecutive")):
            value = getattr(self, name)
            if value < 1 or (value > 1 and self.policy != owner):
                raise ValueError(
                    f"`{name}` must be at least 1, and 1 for another policy than {owner!r}. "
                    f"Received: {name}={value}, policy={self.policy!r}"
                )

    def places(self, n_frames, clip):
        """Number of places where a clip may begin: 0 or less if the video is too short.

        "segments" and "intervals" keep the flow of every frame within the video; the others take
        any video with a frame (and a flow pair), and repeat what is at its ends.

        Args:
            n_frames: integer, tensor or pandas Series, N.
            clip: ClipSpec.
        """
        if self.policy == "segments":
            return sampling.count_starts(n_frames, clip)
        if self.policy == "intervals":
            return sampling.count_starts(n_frames, _apart(clip))
        return n_frames - (1 if "flow" in clip.modalities else 0)

    def repeats(self, n_frames, clip, *, training=False):
        """Whether a clip of so many frames, N, takes an image more than once: bool, of a Series
        too. In training a part of the video must have enough for it."""
        if self.policy == "segments":
            return self.places(n_frames, clip) < clip.segments
        if self.policy == "intervals":
            return self.places(n_frames, clip) < clip.frames
        return n_frames < (clip.frames * self._parts(training) - 2) * self.step + 2

    def run(self, clip):
        """How many frames of a clip (int) lie close together, and are best read in one go."""
        near = {"segments": clip.frames_per_segment, "consecutive": clip.frames}
        return near.get(self.policy, 1)

    def frames(self, n_frames, clip, draw=None, *, training=False, view=0, views=1):
        """The frames of a clip.

        Args:
            n_frames: integer scalar, N >= 1.
            clip: ClipSpec, of all streams that are to see the same moments.
            draw: function of a count to float32 (count,) in [0, 1), or None for a clip that is
                always the same.
            training: bool, whether `parts` count; then there must be draws.
            view, views: int, the number of the clip and how many there are of the video, at even
                distances; of "consecutive" without draws.

        Returns:
            int32 (T,), not decreasing, each in [0, N).
        """
        uniform = draw or (lambda count: None)
        t, starts = clip.frames, tf.maximum(self.places(n_frames, clip), 1)
        if self.policy == "segments":
            chosen = (
                sampling.segment_centre(starts, clip.segments)
                if draw is None
                else sampling.segment_random(starts, clip.segments, draw(clip.segments))
            )
            return sampling.segment_frames(chosen, clip, n_frames)
        if self.policy == "strided":
            if draw is None:
                return sampling.spread(n_frames, t)
            return sampling.strided(n_frames, t, draw(2), interval=self.interval)
        if self.policy == "consecutive":
            places = {"view": view, "views": views}
            return sampling.consecutive(n_frames, t, uniform(1), step=self.step, **places)
        if self.policy == "intervals":
            chosen = sampling.intervals(starts, t, uniform(t))
            return sampling.segment_frames(chosen, _apart(clip), n_frames)
        parts = self._parts(training)
        if parts == 1:
            return sampling.even(n_frames, t, uniform(t))
        draws = draw(t + 1)
        part = tf.cast(draws[t] * parts, tf.int32)
        return sampling.even(n_frames, t, draws[:t], parts=parts, part=part)

    def _parts(self, training):
        return self.parts if training else 1


def _apart(clip):
    """The clip as one whose frames stand alone, each a segment of its own."""
    return dataclasses.replace(clip, segments=clip.frames, frames_per_segment=1)
