"""Where the videos of an experiment come from, how they are parted, what is extracted."""

from typing import Literal

import pydantic
from pydantic import Field

from vidrec.clip import FLOW_BOUND
from vidrec.config.section import Section


class Flow(Section):
    """How flow is extracted; see `vidrec.extraction.engines.FlowSettings`."""

    engine: Literal["fast", "opencv", "dis", "farneback"] = "fast"
    bound: float = Field(FLOW_BOUND, gt=0)
    quantize: Literal["bound", "minmax"] = "bound"


class Split(Section):
    """How videos are parted into training and test: `name`, see `vidrec.datasets.splits`, or an
    official split of the data set, such as official-1; folder: listed-1.

    seed: of splits that are drawn at random.
    test_groups: of the split "groups".
    """

    name: str
    seed: int = Field(0, ge=0)
    test_groups: list[str] = []

    @pydantic.model_validator(mode="after")
    def _complete(self):
        if (self.name == "groups") != bool(self.test_groups):
            raise ValueError("`test_groups`, as in [g07, g08, g09], goes with the split 'groups'")
        return self


class Groups(Section):
    """Where the groups of one's own videos come from; see `vidrec.datasets.folder.Groups`."""

    pattern: str | None = None
    csv: str | None = None
    video: str = "video"
    group: str = "group"


class Data(Section):
    """Where videos come from and where frames and flow lie.

    lists: folder in or near which the official lists are; by default the videos'.
    groups: of the data set "folder" alone.
    on_missing: what training does where an image cannot be read: stop and name it, or take another
        video and count ("skip"). A test always stops.
    cache: "memory" holds the JPGs in memory; a folder gets a pack of the store, which is read from
        then on: for a root on a network drive, a folder on a local disk. Both need every file of
        it. null reads the root.
    fast_dct: see `vidrec.pipeline.decoding.Encoded`.
    finish: where crops are scaled, flipped and coloured in training: in the input pipeline, or on
        the "device" that trains, where a GPU would wait for few cores (`pipeline.finishing`).
    """

    dataset: Literal[
        "folder", "ucf101", "hmdb51", "ucf11", "ucf_sports", "kinetics400", "kinetics600"
    ] = "folder"
    videos: str
    lists: str | None = None
    groups: Groups | None = None
    root: str
    layout: str = "vidrec"
    synthetic: dict[str, int] | None = None  # arguments of SyntheticSpec, for `vidrec demo`
    flow: Flow = Flow()
    split: Split
    short_video: Literal["error", "pad"] = "error"
    on_missing: Literal["error", "skip"] = "error"
    cache: str | None = None
    fast_dct: bool = False
    finish: Literal["pipeline", "device"] = "pipeline"
    allow_missing: bool = False

    @pydantic.model_validator(mode="after")
    def _own_groups(self):
        if self.groups is not None and self.dataset != "folder":
            raise ValueError(f"{self.dataset} knows its groups; `groups` is for 'folder'")
        return self
