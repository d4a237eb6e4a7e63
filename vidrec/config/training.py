"""How the streams of an experiment are trained."""

from typing import Any, Literal

import pydantic
from pydantic import Field

from vidrec.config.section import Section, Share


class Augment(Section):
    """See `vidrec.pipeline.augmentation.Augmentation`."""

    crop: Literal["square", "corners", "centre"] = "square"
    crop_range: tuple[float, float] = (0.66, 1.0)
    scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)
    offsets: Literal[5, 13] = 5
    resize: tuple[int, int] | None = None
    flip_lr: Share = 0.5
    flip_ud: Share = 0.5
    brightness: Share = 0.2
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: float = Field(0.0, ge=0, le=0.5)
    flow_flip: Literal["negate", "image_only"] = "negate"
    scope: Literal["video", "segment"] = "video"


class Optimizer(Section):
    """weight_decay: of sgd and adam, see `vidrec.training.stages.decay_weights`; of adamw,
    decoupled from the gradient. epsilon: of adam and adamw; PyTorch's is 1e-8. clip_norm: the
    largest norm of all gradients together, with what the weight_decay of sgd and adam adds to them;
    null for any."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: float = Field(0.0, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    epsilon: float = Field(1e-7, gt=0)
    clip_norm: float | None = Field(None, gt=0)

    @pydantic.model_validator(mode="after")
    def _of_its_kind(self):
        if self.momentum and self.name != "sgd":
            raise ValueError(f"`momentum` is of sgd, not of {self.name}")
        if self.epsilon != 1e-7 and self.name == "sgd":
            raise ValueError("`epsilon` is of adam and adamw, not of sgd")
        return self


class Schedule(Section):
    """The rate of an epoch: `step` multiplies it by `factor` every so many epochs, `milestones` at
    certain ones, `cosine` falls to `minimum`, `constant` stays. `minimum` is of step and cosine.

    warm_up: epochs in which the rate rises to that, in equal steps.
    """

    kind: Literal["step", "milestones", "cosine", "constant"] = "step"
    rate: float = Field(gt=0)
    factor: float = Field(0.2, gt=0, le=1)
    every: int = Field(10, ge=1)
    at: list[int] = []
    warm_up: int = Field(0, ge=0)
    minimum: float = Field(0.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _milestones(self):
        if (self.kind == "milestones") != bool(self.at) or self.at != sorted(set(self.at)):
            raise ValueError("`at`, epochs in rising order as in [30, 60], goes with `milestones`")
        if self.minimum > self.rate:
            raise ValueError(f"`minimum`, {self.minimum}, is more than `rate`, {self.rate}")
        return self


class Stop(Section):
    """Ends a stage early: `patience` epochs in which training accuracy rose by less than
    `tolerance`, counted once the rate is at most `rate_at_most` (null: from the start)."""

    patience: int = Field(ge=1)
    tolerance: float = Field(0.005, ge=0)
    rate_at_most: float | None = None


class Stage(Section):
    """One stage of fine-tuning.

    batch_size: the examples of a step, of all devices of all machines together; the learning rate
    is that of the schedule, whatever the number of devices.
    accumulate: parts of a device's share of the batch that it takes one after the other, which
    saves memory. The step is that of the whole batch, but for batch normalisation, which takes each
    part for its batch (and its statistics move that many times).
    compiled: whether XLA compiles the step; on one device only.
    """

    name: str
    layers: str | int = "all"
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulate: int = Field(1, ge=1)
    compiled: bool = False
    optimizer: Optimizer = Optimizer()
    schedule: Schedule
    stop: Stop | None = None
    freeze_bn: bool = False
    checkpoint_every: int = Field(1, ge=1)

    @pydantic.model_validator(mode="after")
    def _epochs_of_the_schedule(self):
        at = self.schedule.at
        if at and not 0 < at[0] <= at[-1] < self.epochs:
            raise ValueError(f"schedule.at must be epochs from 1 to {self.epochs - 1}: {at}")
        if self.schedule.warm_up > self.epochs:
            raise ValueError(f"schedule.warm_up must be at most the {self.epochs} epochs")
        return self


class Init(Section):
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


class Stream(Section):
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
