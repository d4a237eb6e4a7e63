"""The smallest experiment that has everything in it, its videos, and what is read from a page."""

import json

import numpy as np
import pytest

from tests.export.conftest import drawn, exported, model, video  # noqa: F401  fixtures
from vidrec import config
from vidrec.experiment import runs, videos
from vidrec.extraction.engines import FlowSettings
from vidrec.store import Store

CONFIG = {
    "name": "tiny",
    "model": {"options": {"bn_momentum": 0.9, "dropout": 0.5, "fold_segments": True}},
    "clip": {"segments": 3, "size": 71, "flow_length": 2},
    "data": {
        "synthetic": {"groups": 2, "test_groups": 1, "clips": 1, "frames": 6, "size": 72},
        "split": {"name": "listed-1"},
    },
    "streams": {
        "spatial": {
            "stages": [
                {"name": "head", "layers": "head", "epochs": 1, "batch_size": 4,
                 "schedule": {"rate": 0.01}},
                {"name": "all", "epochs": 2, "batch_size": 4, "schedule": {"rate": 0.001},
                 "optimizer": {"name": "adam"}},
            ]
        },
        "temporal": {
            "init": {"run": "spatial"},
            "stages": [
                {"name": "all", "epochs": 1, "batch_size": 4, "schedule": {"rate": 0.001}}
            ],
        },
    },
    "evaluation": {"draws": 2, "batch_size": 4, "each_epoch": True},
}  # fmt: skip


STAGE = {"name": "head", "epochs": 3, "batch_size": 4, "schedule": {"rate": 0.1}}
FLOW = {"engine": "farneback"}


def experiment(root, *, streams=None, **changes):
    """An experiment on the embedded data set in `root`; changes: keys of sections."""
    content = json.loads(json.dumps(CONFIG))
    content["streams"] = streams or {s: {"stages": [STAGE]} for s in ("spatial", "temporal")}
    content["clip"]["size"] = 72  # px, of the frames: what a test sees is what is in the files
    content["data"] |= {"videos": str(root / "videos"), "root": str(root / "store"), "flow": FLOW}
    for section, keys in changes.items():
        content[section] = content.get(section, {}) | keys if isinstance(keys, dict) else keys
    return config.Experiment.model_validate(content)


def extract_frames(plan):
    """Draws an experiment's videos, and extracts their frames."""
    videos.draw_videos(plan)
    videos.extract_frames(videos.Source.of(plan), Store(plan.data.root), workers=0)


def write_run(run, plan, stream, network, classes, train_videos, **facts):
    """A run folder as training leaves it; facts: of its provenance, beside the stream's name."""
    run.mkdir(parents=True)
    (run / runs.CONFIG).write_text(config.dump(plan))
    (run / runs.PROVENANCE).write_text(json.dumps({"stream": stream, **facts}))
    for name, lines in ((runs.CLASSES, classes), (runs.TRAIN_VIDEOS, train_videos)):
        (run / name).write_text("".join(f"{line}\n" for line in lines))
    network.save_weights(run / runs.WEIGHTS)


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A folder with the embedded data set, extracted: 18 videos of 6 frames. Read it only."""
    root = tmp_path_factory.mktemp("extracted")
    plan = experiment(root)
    extract_frames(plan)
    videos.extract_flow(Store(plan.data.root), FlowSettings(**FLOW), workers=0)
    return root


def texts(figure):
    """What is written on a `sheet_page.Page`."""
    return [text.get_text() for text in figure.axes[0].texts]


def assert_nothing_overlaps(figure):
    """Texts and pictures are on the figure, and none is on another."""
    canvas = figure.bbox
    written = [text.get_window_extent() for text in figure.axes[0].texts]
    shown = [image.get_window_extent() for image in figure.axes[0].images]
    for box in written + shown:
        assert canvas.x0 <= box.x0 <= box.x1 <= canvas.x1
        assert canvas.y0 <= box.y0 <= box.y1 <= canvas.y1
    boxes = np.array([box.extents for box in written + shown])
    left, bottom, right, top = boxes.T
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    upright = np.minimum.outer(top, top) - np.maximum.outer(bottom, bottom)
    overlap = (across > 1) & (upright > 3)  # px: letters that hang down are beside those that rise
    np.fill_diagonal(overlap, False)
    assert not overlap.any(), [(texts(figure) + shown)[i] for i in np.argwhere(overlap)[:3, 0]]


def interrupt_in_stage(number):
    """From now on, training stops behind the first checkpoint of that stage."""
    from vidrec.training import fit

    save = fit.save_checkpoint

    def save_and_stop(folder, variables, progress, **options):
        save(folder, variables, progress, **options)
        if progress.stage == number:
            raise KeyboardInterrupt

    fit.save_checkpoint = save_and_stop
