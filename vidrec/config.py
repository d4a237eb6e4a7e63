"""An experiment is one YAML file; a key that is not known here is an error."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field

from vidrec.clip import FLOW_BOUND, ClipSpec

STREAMS = {"spatial": "rgb", "temporal": "flow"}  # stream -> modality
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Clip(_Section):
    """See `vidrec.clip.ClipSpec`; the modalities follow from the stream."""

    segments: int = Field(3, ge=1)
    frames_per_segment: int = Field(1, ge=1)
    size: int = Field(224, ge=1)
    flow_length: int = Field(10, ge=1)
    flow_position: Literal["start", "centre"] = "start"
    flow_step: int = Field(1, ge=1)


class Model(_Section):
    """A name from the registry, and keywords of its `build`."""

    name: str = "multiseg_xception"
    options: dict[str, Any] = {}


class Flow(_Section):
    """How flow is extracted; see `vidrec.extraction.engines.FlowSettings`."""

    engine: Literal["fast", "opencv", "dis", "farneback"] = "fast"
    bound: float = Field(FLOW_BOUND, gt=0)
    quantize: Literal["bound", "minmax"] = "bound"


class Split(_Section):
    """How videos are parted into training and test.

    official: the list files of `lists`, number `number` (UCF101 style).
    random: the paper's 8 : 2 over videos; clips of one source video may land on both sides.
    grouped: whole groups go to test.
    groups: the groups named in `test_groups` go to test.
    """

    kind: Literal["official", "random", "grouped", "groups"]
    lists: str | None = None
    number: int = 1
    check_sizes: bool = True
    test_fraction: float = Field(0.2, gt=0, lt=1)
    seed: int = 0
    test_groups: list[str] = []

    @pydantic.model_validator(mode="after")
    def _complete(self):
        if self.kind == "official" and self.lists is None:
            raise ValueError("split kind 'official' needs `lists`, the folder of the list files")
        if self.kind == "groups" and not self.test_groups:
            raise ValueError("split kind 'groups' needs `test_groups`, as in [g07, g08, g09]")
        return self


class Data(_Section):
    """Where videos come from and where frames and flow lie."""

    videos: str
    root: str
    layout: str = "vidrec"
    synthetic: dict[str, int] | None = None  # arguments of SyntheticSpec, for `vidrec demo`
    flow: Flow = Flow()
    split: Split
    short_video: Literal["error", "pad"] = "error"
    allow_missing: bool = False


class Augment(_Section):
    """See `vidrec.pipeline.augmentation.Augmentation`."""

    crop_range: tuple[float, float] = (0.66, 1.0)
    flip_lr: Share = 0.5
    flip_ud: Share = 0.5
    brightness: Share = 0.2
    flow_flip: Literal["negate", "image_only"] = "negate"
    scope: Literal["video", "segment"] = "video"


class Optimizer(_Section):
    name: Literal["sgd", "adam"] = "sgd"
    momentum: float = Field(0.0, ge=0, lt=1)


class Schedule(_Section):
    """The rate of an epoch: `step` divides it every so many epochs, `cosine` falls to `minimum`."""

    kind: Literal["step", "cosine"] = "step"
    rate: float = Field(gt=0)
    factor: float = Field(0.2, gt=0, le=1)
    every: int = Field(10, ge=1)
    minimum: float = Field(1e-4, ge=0)


class Stop(_Section):
    """Ends a stage early: `patience` epochs in which training accuracy rose by less than
    `tolerance`, counted once the rate is at most `rate_at_most` (null: from the start)."""

    patience: int = Field(ge=1)
    tolerance: float = Field(0.005, ge=0)
    rate_at_most: float | None = None


class Stage(_Section):
    """One stage of fine-tuning."""

    name: str
    layers: str | int = "all"
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule
    stop: Stop | None = None
    freeze_bn: bool = False
    checkpoint_every: int = Field(1, ge=1)


class Init(_Section):
    """Where a stream's weights start.

    weights: null, "imagenet" or a file, see the model's `build`.
    run: the run folder of a trained stream, or the name of a stream of this experiment; its weights
    are copied, by cross-modality initialisation where the modalities differ.
    """

    weights: str | None = None
    run: str | None = None
    include_head: bool = True
    cross_modality_scale: Literal["preserve"] | None = None

    @pydantic.model_validator(mode="after")
    def _one(self):
        if self.weights is not None and self.run is not None:
            raise ValueError("`init` takes `weights` or `run`, not both")
        return self


class Stream(_Section):
    """One stream: trained here in stages, or taken from another experiment's run folder."""

    run: str | None = None
    init: Init = Init()
    options: dict[str, Any] = {}
    stages: list[Stage] = []

    @pydantic.model_validator(mode="after")
    def _trained_or_taken(self):
        if (self.run is None) == (not self.stages):
            raise ValueError("a stream needs either `stages` to train it by, or a `run`")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"the names of stages must differ, received {names}")
        return self


class Fusion(_Section):
    """Weights of the streams' scores, and how they are summed; see `multiseg_xception.fuse`."""

    spatial: float = Field(1.0, ge=0)
    temporal: float = Field(1.5, ge=0)
    normalize: bool = False
    layer: Literal["lambda", "rescaling"] = "lambda"


class Evaluation(_Section):
    """Section 3.4.2: three random draws; during training one draw, which the paper calls unstable,
    after each epoch.

    average: "accuracy" reports the mean of the draws' accuracies, as the paper does; "scores"
    averages the draws' scores and reports their accuracy.
    """

    sampling: Literal["random", "centre"] = "random"
    draws: int = Field(3, ge=1)
    batch_size: int = Field(16, ge=1)
    short_side: int | None = None
    each_epoch: bool = True
    average: Literal["accuracy", "scores"] = "accuracy"


class Experiment(_Section):
    """The whole file."""

    name: str
    seed: int = Field(0, ge=0)
    model: Model = Model()
    clip: Clip = Clip()
    data: Data
    augment: Augment = Augment()
    shuffle_order: Literal["shuffle_first", "repeat_first"] = "shuffle_first"
    streams: dict[Literal["spatial", "temporal"], Stream]
    fusion: Fusion = Fusion()
    evaluation: Evaluation = Evaluation()

    @pydantic.field_validator("streams")
    @classmethod
    def _in_order(cls, streams):
        if not streams:
            raise ValueError("an experiment has a spatial stream, a temporal stream, or both")
        return {name: streams[name] for name in STREAMS if name in streams}

    @pydantic.model_validator(mode="after")
    def _options_in_their_place(self):
        own = {
            "weights": "streams.<name>.init.weights",
            "fusion_weights": "fusion",
            "normalize_fusion": "fusion.normalize",
            "fusion_layer": "fusion.layer",
        }
        for options in (self.model.options, *(s.options for s in self.streams.values())):
            for name in options.keys() & own.keys():
                raise ValueError(f"option {name!r} is set by {own[name]}")
        if any("consensus_on" in stream.options for stream in self.streams.values()):
            raise ValueError("option 'consensus_on' is the same for all streams: model.options")
        return self

    @property
    def fused_on(self):
        """What fusion sums: what the segments' consensus is on, "scores" or "probabilities"."""
        return self.model.options.get("consensus_on", "scores")

    def clip_spec(self, *modalities):
        """The ClipSpec of the given modalities, or of all the experiment's streams."""
        modalities = modalities or tuple(m for s, m in STREAMS.items() if s in self.streams)
        return ClipSpec(modalities=modalities, **self.clip.model_dump())


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
        ValueError: naming every key that is unknown, missing or out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no experiment {path}. A clone of the repository has them in experiments/."
        )
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"{path} must hold keys and values. Received: {content!r}")
        given = {key: str(value) for key, value in overrides.items() if value is not None}
        data = content.get("data") or {}
        content["data"] = {**data, **given} if isinstance(data, dict) else data
        if seed is not None:
            content["seed"] = seed
        return Experiment.model_validate(content)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except pydantic.ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ValueError(f"{path} has {error.error_count()} problems:\n{problems}") from error


def dump(experiment):
    """The experiment with every default written out, as YAML."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False)
