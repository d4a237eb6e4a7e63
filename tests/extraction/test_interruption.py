"""Extraction that is killed, runs out of disk, or has workers that die: nothing lost, nothing torn.

Counts are asserted: what a fault may cost is a number.
"""

import contextlib
import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.extraction.test_one_pass import contents
from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.extraction import batch, flow
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.frames import extract_video
from vidrec.store import Store

SPEC = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=2, frames=14, size=40, fps=12.0)
KILLS = 50
WORKERS = 2


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """36 drawn videos of 14 frames, and nothing else."""
    root = tmp_path_factory.mktemp("videos")
    synthetic.write_videos(root, SPEC)
    shutil.rmtree(root / "ucfTrainTestlist")
    return root


def start(videos, data, *options):
    """`vidrec extract-flow` in a process of its own."""
    command = [sys.executable, "-m", "vidrec.cli", "extract-flow", "--videos", str(videos)]
    command += ["--data", str(data), "--workers", str(WORKERS), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def images(store, kinds, video_id):
    folder = store.folder(kinds[0], video_id)
    count = len(list(folder.iterdir())) // len(kinds) if folder.is_dir() else 0
    return [store.path(k, video_id, i) for i in range(1, count + 1) for k in kinds]


def check(store):
    """The index claims only what is there, whole; returns the folders that it does not claim."""
    rows, unclaimed = store.rows(), set()
    for kinds, top in ((("frame",), "frames"), (("flow_x", "flow_y"), "flow")):
        for folder in sorted(store.root.glob(f"{top}/*/*")):
            if folder.name.startswith("."):
                continue  # what a killed writer left
            video_id = folder.relative_to(store.root / top).as_posix()
            paths, row = images(store, kinds, video_id), rows.get(video_id)
            assert len(paths) == len(list(folder.iterdir())) == (14 if top == "frames" else 26)
            data = [path.read_bytes() for path in paths]
            assert all(jpg.endswith(b"\xff\xd9") for jpg in data), folder
            digest = hashlib.sha256(b"".join(data)).hexdigest()
            claim = row and (row.frames_sha256 if top == "frames" else row.flow_sha256)
            assert not claim or claim == digest, folder
            unclaimed |= set() if claim else {folder}
    for row in rows.values():
        assert not row.frames_sha256 or len(images(store, ("frame",), row.video_id)) == 14
        assert not row.flow_sha256 or len(images(store, ("flow_x",), row.video_id)) == 26
    return unclaimed


def end(process, how):
    """Ends a run: kill -9 of the parent alone, or of it and its workers."""
    workers = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    process.kill()
    if how == "all":
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    process.communicate()
    patience = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < patience, "a worker outlives its killed parent"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pgrep"), reason="needs pgrep")
def test_kill_9_at_random_moments_loses_nothing(videos, tmp_path):
    """Also while flow is being replaced by flow with another bound."""
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    process = start(videos, whole.root)
    began = time.monotonic()
    out, err = process.communicate()
    duration = time.monotonic() - began
    assert process.returncode == 0, err
    assert "468 flow pairs of 36 videos" in out
    draw, killed, costs, finished = random.Random(3), 0, [], 0
    while killed < KILLS:
        bound = draw.choice(["20", "20", "7"])
        before = check(store)  # of earlier kills: a run begins anywhere among what is left
        process = start(videos, store.root, "--bound", bound)
        try:
            process.wait(timeout=draw.uniform(0, 1.1 * duration))
        except subprocess.TimeoutExpired:
            end(process, draw.choice(["parent", "all"]))
            killed += 1
            costs.append(len(check(store) - before))
        else:
            finished += 1
            process.communicate()
            if draw.random() < 0.5:
                shutil.rmtree(store.root)
    # Frames and flow of a video are two folders, which one row claims.
    assert max(costs) <= 2 * WORKERS, costs
    assert sum(cost > 0 for cost in costs) > 3, "the moments of the kills show nothing"
    process = start(videos, store.root)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert contents(store) == contents(whole)
    print(f"{killed} kills, {finished} runs ended between, unclaimed folders at most {max(costs)}")


def test_ctrl_c_stops_within_seconds_and_goes_on(videos, tmp_path):
    process = start(videos, tmp_path / "store", "--engine", "opencv")
    while process.poll() is None and len(list(tmp_path.glob("store/frames/*/v_*"))) < 2:
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "Interrupted. What is done is kept: run the same command again." in err
    assert "Traceback" not in err
    store = Store(tmp_path / "store")
    assert 1 <= len(store.rows()) < 36
    check(store)


def dying(store, row, settings, decode):
    """As `batch._one`, but for three videos that harm the process which holds them."""
    marks = store.root.parent / "marks"
    marks.mkdir(exist_ok=True)
    name = row.video_id.split("/")[1]
    mark = marks / f"{name}-{time.monotonic_ns()}"
    mark.touch()
    if "BlueDotsOrbit_g01_c01" in name:
        import ctypes

        ctypes.string_at(0)  # a crash in C
    if "BlueDotsPulse_g02_c02" in name:
        time.sleep(3600)
    if "AmberStripesOrbit_g01_c02" in name and len(list(marks.glob(f"{name}-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return extract_video(store, row, settings)


def test_workers_that_die_or_hang_cost_the_video_they_held(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_one", dying)
    store, table = Store(tmp_path / "store"), Folder().videos(videos)
    index = extract_frames(table, store, workers=2, time_limit=3)
    bad = index[index.status != "ok"].set_index("video_id").message
    assert len(index) == 36
    assert [name.split("/")[1][2:] for name in bad.index] == [
        "BlueDotsOrbit_g01_c01",
        "BlueDotsPulse_g02_c02",
    ]
    sources = table.set_index("video_id").path
    assert bad.iloc[0] == f"{sources[bad.index[0]]}: " + (
        "its worker process died (signal 11, Segmentation fault) twice"
    )
    assert bad.iloc[1] == f"{sources[bad.index[1]]}: took longer than 3 s twice"
    runs = [path.name.rsplit("-", 1)[0] for path in (tmp_path / "marks").iterdir()]
    assert len(runs) == 36 + 3  # the suspects twice, all others once
    assert set(index.n_frames[index.status == "ok"]) == {14}


class Full:
    """A disk that takes `left` more files of images."""

    def __init__(self, left):
        self.left, self.write = left, Path.write_bytes

    def __call__(self, path, data):
        self.left -= 1
        if self.left < 0:
            self.write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return self.write(path, data)


def test_a_full_disk_stops_the_run_and_it_goes_on_later(videos, tmp_path, monkeypatch):
    store, whole, table = Store(tmp_path / "a"), Store(tmp_path / "b"), Folder().videos(videos)[:6]
    dis = FlowSettings(engine="dis")
    with monkeypatch.context() as patch:
        disk = Full(100)
        patch.setattr(Path, "write_bytes", lambda path, data: disk(path, data))
        message = (
            r"The disk is full. 2 of 6 videos are done and kept. Free some space and run the same "
            r"command again."
        )
        with pytest.raises(OSError, match=message) as caught:
            extract_flow(store, dis, table=table, workers=0)
    assert caught.value.errno == errno.ENOSPC
    assert len(store.rows()) == 2
    assert not check(store)
    extract_flow(store, dis, table=table, workers=0)
    extract_flow(whole, dis, table=table, workers=0)
    assert contents(store) == contents(whole)


def small_disk(folder, megabytes):
    """Mounts a disk of so many megabytes; whether that was possible."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_real_disk_that_is_full(videos, tmp_path):
    """A real file system, real worker processes, and the index on it too."""
    disk = tmp_path / "disk"
    if not shutil.which("mount") or not small_disk(disk, 1):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(700_000))
        process = start(videos, disk / "store")
        _, err = process.communicate()
        assert process.returncode == 2
        assert "The disk is full." in err
        assert "Free some space and run the same command again" in err
        assert "Traceback" not in err
        store = Store(disk / "store")
        done = len(store.rows())
        assert 0 < done < 36
        check(store)
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        process = start(videos, store.root)
        _, err = process.communicate()
        assert process.returncode == 0, err
        whole = Store(tmp_path / "whole")
        extract_flow(whole, table=Folder().videos(videos), workers=0)
        assert contents(store) == contents(whole)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_row_never_claims_images_that_are_being_replaced(videos, tmp_path, monkeypatch):
    store, table = Store(tmp_path), Folder().videos(videos)[:2]
    extract_flow(store, table=table, workers=0)
    seen = []

    def look(store, row, settings):
        seen.append(store.rows()[row.video_id])
        return flow.extract_video_flow(store, row, settings)

    monkeypatch.setattr(batch, "extract_video_flow", look)
    extract_flow(store, FlowSettings(engine="dis"), workers=0)
    assert [(row.n_frames, row.n_flow, row.flow_sha256, row.status) for row in seen] == [
        (14, 0, "", "ok")
    ] * 2
    assert set(store.index().flow_algorithm) == {"dis"}
    np.testing.assert_array_equal(store.index().n_flow, 13)
