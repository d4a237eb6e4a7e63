"""An experiment is one YAML file; a key that is not known here is an error."""

import os
from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml
from pydantic import Field

from vidrec.clip import MODALITIES, ClipSpec
from vidrec.config.data import Data
from vidrec.config.protocols import check_protocol, settings_of
from vidrec.config.section import Section
from vidrec.config.training import Augment, Stream

STREAMS = {"spatial": ("rgb",), "temporal": ("flow",), "joint": MODALITIES}  # what each takes


class Clip(Section):
    """See `vidrec.clip.ClipSpec`; the modalities follow from the stream."""

    segments: int = Field(3, ge=1)
    frames_per_segment: int = Field(1, ge=1)
    size: int = Field(224, ge=1)
    flow_length: int = Field(10, ge=1)
    flow_position: Literal["start", "centre"] = "start"
    flow_step: int = Field(1, ge=1)


class Sampling(Section):
    """Which frames of a video a clip takes; see `vidrec.pipeline.policies.Sampling`."""

    policy: Literal["segments", "strided", "even", "intervals", "consecutive"] = "segments"
    interval: tuple[int, int] = (2, 10)
    parts: int = Field(1, ge=1)
    step: int = Field(1, ge=1)


class Model(Section):
    """A name from the registry, and keywords of its `build`."""

    name: str = "multiseg_xception"
    options: dict[str, Any] = {}


class Fusion(Section):
    """Weights of the streams' scores, and how they are summed; see `models.layers.fusion`.

    spatial, temporal: null for the model's own, 1 : 1.5 or, of tstam, 1 : 3.
    fuse_on: "scores" or "probabilities" are summed; null for what the segments' consensus is on, or
        for the model's own.
    """

    spatial: float | None = Field(None, ge=0)
    temporal: float | None = Field(None, ge=0)
    fuse_on: Literal["scores", "probabilities"] | None = None
    normalize: bool = False
    layer: Literal["lambda", "rescaling"] = "lambda"


class Evaluation(Section):
    """Qiao et al. 2021, section 3.4.2: three random draws; during training one draw, which the
    paper calls unstable, after each epoch.

    protocol: the test of a paper, see `vidrec.config.protocols`, which gives the other keys; null
        for what they say.
    segments: K of the test where it is not that of training, for models that take any (T-STAM: 25).
    clips: of a video, at even distances from its start to its end; for sampling "consecutive".
    crops: 1, the centre; 5, with the corners; 10, with all of them mirrored. `views_on` is what is
    averaged over clips and crops, "scores" or "probabilities". Validation after an epoch has
    neither.
    batch_size: clips at once; each view counts as one.
    average: "accuracy" reports the mean of the draws' accuracies, as the paper does; "scores"
    averages the draws' scores and reports their accuracy.
    short_side, resize: to what images are scaled before the central crop; see
    `vidrec.pipeline.crops.centre_crop`.
    """

    protocol: str | None = None
    sampling: Literal["random", "centre"] = "random"
    draws: int = Field(3, ge=1)
    segments: int | None = Field(None, ge=1)
    clips: int = Field(1, ge=1)
    crops: Literal[1, 5, 10] = 1
    views_on: Literal["scores", "probabilities"] = "scores"
    batch_size: int = Field(16, ge=1)
    short_side: int | None = None
    resize: tuple[int, int] | None = None
    each_epoch: bool = True
    average: Literal["accuracy", "scores"] = "accuracy"

    @property
    def views(self):
        """How many clips and crops of a video are averaged, int."""
        return self.clips * self.crops

    @pydantic.model_validator(mode="before")
    @classmethod
    def _by_name(cls, given):
        name = given.get("protocol") if isinstance(given, dict) else None
        return given if name is None else settings_of(name, given)

    @pydantic.model_validator(mode="after")
    def _one_scaling(self):
        if self.short_side is not None and self.resize is not None:
            raise ValueError("images are scaled to `short_side` or to `resize`, not to both")
        return self


class Experiment(Section):
    """The whole file. precision: in which training computes; weights and logits are float32."""

    name: str
    seed: int = Field(0, ge=0)
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    model: Model = Model()
    clip: Clip = Clip()
    sampling: Sampling = Sampling()
    data: Data
    augment: Augment = Augment()
    shuffle_order: Literal["shuffle_first", "repeat_first"] = "shuffle_first"
    streams: dict[Literal["spatial", "temporal", "joint"], Stream]
    fusion: Fusion = Fusion()
    evaluation: Evaluation = Evaluation()

    @pydantic.field_validator("streams")
    @classmethod
    def _in_order(cls, streams):
        if not streams or ("joint" in streams and len(streams) > 1):
            raise ValueError(
                "an experiment has a spatial stream, a temporal stream, or both; or a joint one "
                "alone, a network that takes both modalities"
            )
        return {name: streams[name] for name in STREAMS if name in streams}

    @pydantic.model_validator(mode="after")
    def _options_in_their_place(self):
        own = {
            "weights": "streams.<name>.init.weights",
            "fusion_weights": "fusion",
            "fusion_on": "fusion.fuse_on",
            "normalize_fusion": "fusion.normalize",
            "fusion_layer": "fusion.layer",
        }
        if "joint" in self.streams:  # fuses within itself
            own = {"weights": own["weights"]}
        for options in (self.model.options, *(s.options for s in self.streams.values())):
            for name in options.keys() & own.keys():
                raise ValueError(f"option {name!r} is set by {own[name]}")
        for name, stream in self.streams.items():
            if stream.init.run == name:
                raise ValueError(f"the {name} stream cannot start from itself: init.run")
        if self.evaluation.protocol is not None:
            frames = self.clip_spec(test=True).frames
            check_protocol(self.evaluation.protocol, frames=frames, policy=self.sampling.policy)
        if self.evaluation.clips > 1 and (
            self.sampling.policy != "consecutive" or self.evaluation.sampling != "centre"
        ):
            raise ValueError(
                "evaluation.clips are at even distances: they need sampling: {policy: consecutive} "
                "and evaluation: {sampling: centre}"
            )
        smallest = min(self.evaluation.resize or [self.evaluation.short_side or self.clip.size])
        if smallest < self.clip.size:
            raise ValueError(
                f"evaluation scales images to {smallest} px, less than clip.size, {self.clip.size}"
            )
        if any("consensus_on" in stream.options for stream in self.streams.values()):
            raise ValueError("option 'consensus_on' is the same for all streams: model.options")
        return self

    @property
    def trained(self):
        """The streams that are trained here, not taken from another experiment's run, in an order
        in which each comes behind the one that it starts from."""
        here = [name for name, stream in self.streams.items() if stream.run is None]
        return sorted(here, key=lambda name: self.streams[name].init.run in here)

    def clip_spec(self, *streams, test=False):
        """The ClipSpec of the given streams, or of all; `test`: with the segments of the test."""
        taken = {m for stream in streams or self.streams for m in STREAMS[stream]}
        clip = self.clip.model_dump()
        if test and self.evaluation.segments:
            clip["segments"] = self.evaluation.segments
        return ClipSpec(modalities=tuple(m for m in MODALITIES if m in taken), **clip)


def load(path, *, seed=None, **overrides):
    """Reads an experiment.

    Args:
        path: path of a YAML file.
        seed: int or None, replaces the experiment's seed.
        **overrides: values that replace keys of `data`, as from the command line; None is ignored.

    Returns:
        Experiment.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no YAML in UTF-8; naming every key that is unknown, missing or out of
            range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no experiment {path}. A clone of the repository has them in experiments/."
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{path} must hold keys and values. Received: {content!r}")
        given = {
            key: os.fspath(value) if isinstance(value, os.PathLike) else value
            for key, value in overrides.items()
            if value is not None
        }
        data = content.get("data") or {}
        content["data"] = {**data, **given} if isinstance(data, dict) else data
        if seed is not None:
            content["seed"] = seed
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be text in UTF-8. Received: {error}. Save it as UTF-8 in your editor."
        ) from error
    return validated(content, path)


def validated(content, name):
    """The Experiment of a file's keys.

    Raises:
        ValueError: naming every key that is unknown, missing or out of range; `name` says of what.
    """
    try:
        return Experiment.model_validate(content)
    except pydantic.ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ValueError(f"{name} has {error.error_count()} problems:\n{problems}") from error


def dump(experiment):
    """The experiment with every default written out, as YAML."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False)
