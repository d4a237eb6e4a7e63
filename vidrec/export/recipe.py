"""How the clips of a test are made of a video: which frames, which flow, which views."""

import dataclasses
import functools

import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.extraction.engines import FlowSettings
from vidrec.pipeline import crops, sampling
from vidrec.pipeline.augmentation import flip_left_right
from vidrec.pipeline.policies import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipRecipe:
    """What a model's test does with a video, but for the network.

    Attributes:
        clip: ClipSpec.
        sampling: Sampling, how the frames of a clip are chosen; without draws.
        timing: ClipSpec or None. Places in the video are chosen for it instead of `clip`; see
            `vidrec.pipeline.source.ClipSource`.
        flow: FlowSettings, or None for a clip without flow.
        short_side, resize: to what images are scaled, as `short_side` and `to` of
            `vidrec.pipeline.crops.centre_crop`.
        pad: bool, whether a video that is too short repeats its end.
        clips: int, how many clips are taken at even distances; for sampling "consecutive".
        crops: 1 for the central view of each, or 5 or 10, see `vidrec.pipeline.crops.ten_crop`.
        flow_flip: "negate" or "image_only", what mirrored views do to flow.
        views_on: "scores" or "probabilities", what is averaged over clips and crops.
    """

    clip: ClipSpec
    sampling: Sampling = Sampling()
    timing: ClipSpec | None = None
    flow: FlowSettings | None = None
    short_side: int | None = None
    resize: tuple[int, int] | None = None
    pad: bool = False
    clips: int = 1
    crops: int = 1
    flow_flip: str = "negate"
    views_on: str = "scores"

    @classmethod
    def of_facts(cls, facts):
        """The recipe that `vidrec.json` of an exported model holds, a dict."""
        return cls(
            clip=ClipSpec(**facts["clip"]),
            sampling=Sampling(**facts.get("sampling", {})),
            timing=ClipSpec(**facts["timing"]) if facts.get("timing") else None,
            flow=FlowSettings(**facts["flow"]) if facts["flow"] else None,
            short_side=facts["short_side"],
            resize=facts.get("resize"),
            pad=facts["short_video"] == "pad",
            clips=facts.get("clips", 1),
            crops=facts.get("crops", 1),
            flow_flip=facts.get("flow_flip", "negate"),
            views_on=facts.get("views_on", "scores"),
        )

    def facts(self):
        """The recipe as a JSON-able dict, which `of_facts` takes."""
        found = dataclasses.asdict(self)
        return found | {"short_video": "pad" if found.pop("pad") else "error"}

    @property
    def shortest(self):
        """The least number of frames of a video, int."""
        if self.pad:
            return 2 if "flow" in self.clip.modalities else 1
        return 2 - self.sampling.places(1, self.timing or self.clip)

    def repeats(self, n_frames):
        """Whether a video of so many frames gives clips that take some of them more than once."""
        return self.sampling.repeats(n_frames, self.timing or self.clip)

    def frames(self, n_frames):
        """The frames of each clip, counted from 0.

        Args:
            n_frames: integer scalar, N >= `shortest`.

        Returns:
            int32 (clips, T).
        """
        timing = self.timing or self.clip
        places = ({"view": view, "views": self.clips} for view in range(self.clips))
        return tf.stack([self.sampling.frames(n_frames, timing, **place) for place in places])

    def pairs(self, frames, n_frames):
        """The flow pairs of chosen frames, int32 (clips, T) to int32 (clips, T, L)."""
        windows = sampling.flow_windows(tf.reshape(frames, [-1]), self.clip, n_frames)
        return tf.reshape(windows, [self.clips, self.clip.frames, self.clip.flow_length])

    def views(self, images):
        """All views of all clips: dict of uint8 (clips, T, H, W, C) to (views, T, S, S, C)."""
        flip = functools.partial(flip_left_right, negate=self.flow_flip == "negate")
        options = {"short_side": self.short_side, "to": self.resize, "flip": flip}
        clips = ({name: x[number] for name, x in images.items()} for number in range(self.clips))
        found = [crops.views(clip, self.clip.size, self.crops, **options) for clip in clips]
        return {
            name: tf.ensure_shape(
                tf.concat([view[name] for view in found], axis=0), (None, *self.clip.shape(name))
            )
            for name in images
        }

    def probabilities(self, logits):
        """Those of the video from the logits of its views: float32 (views, N) to (N,)."""
        if self.views_on == "probabilities":
            return tf.reduce_mean(tf.nn.softmax(logits), axis=0)
        return tf.nn.softmax(tf.reduce_mean(logits, axis=0))
