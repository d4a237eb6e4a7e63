"""A forecast is about right in size, writes nothing, and does not stumble over bad videos."""

import shutil

import pytest

from tests.extraction.conftest import table_of
from vidrec.datasets.folder import Folder
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.forecast import Forecast, forecast, size
from vidrec.extraction.jobs import flow_jobs, frame_jobs
from vidrec.store import Store

DIS = FlowSettings(engine="dis")


def bytes_below(folder):
    """On the disk, where each file takes whole blocks."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*.jpg"))


def test_frames_and_bytes_of_videos_that_are_to_be_decoded(drawn, tmp_path):
    table, store = Folder().videos(drawn), Store(tmp_path / "store")
    plan = forecast(flow_jobs(store, DIS, table), workers=0)
    assert not store.root.exists()
    assert len(plan.frames) == len(plan.seconds) == 18
    assert sum(plan.frames) == pytest.approx(18 * 40, rel=0.25)  # by the sizes of the files
    assert min(plan.seconds) > 0
    extract_flow(store, DIS, table=table, workers=0)
    assert plan.bytes == pytest.approx(bytes_below(store.root), rel=0.4)


def test_frames_of_the_index_are_counted(drawn, tmp_path):
    store = Store(tmp_path)
    extract_frames(Folder().videos(drawn)[:5], store, workers=0)
    before = bytes_below(store.root)
    plan = forecast(flow_jobs(store, DIS), workers=0)
    assert plan.frames == [40] * 5
    extract_flow(store, DIS, workers=0)
    assert plan.bytes == pytest.approx(bytes_below(store.root) - before, rel=0.4)


def test_a_slow_engine_takes_longer(drawn, tmp_path):
    store = Store(tmp_path)
    extract_frames(Folder().videos(drawn)[:3], store, workers=0)
    quick, slow = (
        sum(forecast(flow_jobs(store, FlowSettings(engine=engine)), workers=0).seconds)
        for engine in ("dis", "opencv")
    )
    assert slow > 3 * quick  # about 100 times where this was written


def test_bad_videos_tell_nothing_and_stop_nothing(video, tmp_path):
    empty, text, good = tmp_path / "empty.avi", tmp_path / "text.avi", tmp_path / "good.avi"
    empty.touch()
    text.write_text("no video")
    shutil.copy(video, good)
    table = table_of(empty, good, text, tmp_path / "missing.avi")
    plan = forecast(frame_jobs(table, Store(tmp_path / "store")), workers=0)
    assert plan.frames == [1, 40, 1, 1]
    assert plan.bytes > 0
    nothing = forecast(frame_jobs(table_of(empty, text), Store(tmp_path / "store")), workers=0)
    assert (nothing.frames, nothing.bytes) == ([1, 1], 0)
    assert forecast([]) == Forecast([], [], 0)


def test_the_text_counts_processes_and_waits_for_the_longest(tmp_path):
    plan = Forecast([100, 50, 50], [3600.0, 1800.0, 1800.0], 7_400_000)
    text = plan.text(tmp_path / "not/yet/there", 2)
    assert text.startswith("3 videos, about 200 frames: about 1 h 0 min with 2 processes, 7 MB of ")
    assert text.endswith(f"free in {tmp_path / 'not/yet/there'}")
    assert "about 2 h 0 min with 1 process," in plan.text(tmp_path, 1)
    assert "about 1 h 0 min with 8 processes" in plan.text(tmp_path, 8)
    huge = Forecast([1], [1.0], 10**18)
    assert huge.text(tmp_path, 1).endswith(". THE DISK IS TOO SMALL")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (74_000, "74 kB"), (2.5e9, "2 GB"), (8.6e13, "86.0 TB")],
)
def test_sizes_for_people(count, text):
    assert size(count) == text
