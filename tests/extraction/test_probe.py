import json
import math
import os
import re
import signal
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.extraction.conftest import table_of
from vidrec.extraction import pool
from vidrec.extraction import probe as module
from vidrec.extraction.probe import COLUMNS, look, probe, summary


def write(path, frames, width, height, fps=25.0, codec="MJPG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    rng = np.random.default_rng(frames)
    for _ in range(frames):
        writer.write(rng.integers(0, 256, (height, width, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Good and bad videos by name."""
    root = tmp_path_factory.mktemp("probe")
    good = {
        "long": write(root / "long.avi", 30, 64, 48),
        "one": write(root / "one.avi", 1, 62, 46, fps=10.0),
        "mp4": write(root / "clip.mp4", 12, 64, 48, fps=29.97, codec="mp4v"),
        "unicode": write(root / f"été 跑步 {'n' * 150}.avi", 5, 64, 48),
    }
    avi, mp4 = good["long"].read_bytes(), good["mp4"].read_bytes()
    frames = mp4.index(b"mdat") + 4, mp4.index(b"moov") - 4
    bad = {
        "empty": b"",
        "text": b"no video\n",
        "head": avi[:3000],
        "moov": mp4[: frames[1]],  # the end of an MP4 says where its frames are
        "zeros": mp4[: frames[0]] + bytes(frames[1] - frames[0]) + mp4[frames[1] :],
    }
    for name, content in bad.items():
        bad[name] = root / f"{name}.avi"
        bad[name].write_bytes(content)
    (root / "folder.avi").mkdir()
    bad |= {"gone": root / "gone.avi", "folder": root / "folder.avi", "url": "http://x/a.avi"}
    return {name: Path(path) if name != "url" else path for name, path in (good | bad).items()}


def table(files, names):
    return pd.DataFrame({"video_id": names, "path": [str(files[name]) for name in names]})


def test_what_good_videos_are(files):
    names = ["unicode", "one", "mp4", "long"]
    found = probe(table_of(*(files[name] for name in names)).set_axis([7, 3, 9, 1]), workers=0)
    assert found.index.tolist() == [7, 3, 9, 1]
    assert found.columns.tolist() == list(COLUMNS)
    assert found.frames.tolist() == [5, 1, 12, 30]
    np.testing.assert_allclose(found.fps, [25, 10, 29.97, 25], rtol=1e-6)
    assert found.width.tolist() == [64, 62, 64, 64]
    assert found.height.tolist() == [48, 46, 48, 48]
    assert found.bytes.tolist() == [files[name].stat().st_size for name in names]
    assert found.message.tolist() == [""] * 4
    kinds = [found[name].dtype.kind for name in ("frames", "fps", "width", "height", "bytes")]
    assert kinds == list("ifiii")


def test_why_bad_videos_are_bad(files):
    reasons = {
        "empty": "is empty (0 bytes). Fetch or copy it again.",
        "text": "is not a video that OpenCV's FFmpeg can read. Is it damaged?",
        "head": "is not a video that OpenCV's FFmpeg can read",
        "zeros": "has no frame that can be decoded. Is it damaged?",
        "moov": "is not a video that OpenCV's FFmpeg can read",
        "gone": "is not a file. Give the path of a video file",
        "folder": "",  # what is wrong with it is another file's to say
        "url": "is a URL / protocol, give a path",
    }
    found = probe(table(files, list(reasons)), workers=0)
    for row, name in zip(found.itertuples(), reasons, strict=True):
        assert row.message.startswith(str(files[name])), name
        assert reasons[name] in row.message
        assert (row.frames, row.fps, row.width, row.height) == (0, 0, 0, 0)
    sizes = dict(zip(reasons, found.bytes, strict=True))
    assert (sizes["empty"], sizes["text"], sizes["head"], sizes["gone"]) == (0, 9, 3000, 0)


def test_processes_find_the_same_as_none(files, capfd):
    every = table(files, [*files, "long"])  # one video twice
    alone = probe(every, workers=0)
    capfd.readouterr()
    pd.testing.assert_frame_equal(probe(every, workers=2), alone)
    assert f"probe: {len(every)} of {len(every)} videos" in capfd.readouterr().err
    assert (alone.message == "").tolist() == [True] * 4 + [False] * 8 + [True]


def test_an_empty_table_is_an_empty_probe():
    found = probe(table_of(), workers=0)
    assert found.columns.tolist() == list(COLUMNS)
    assert len(found) == 0
    facts = summary(found)
    assert (facts["videos"], facts["frames"], facts["hours"], facts["sizes"]) == (0, None, 0, {})


def killing_look(paths):
    """Kills its process at a file of this name, as a decoder may."""
    if any(Path(path).name == "poison.avi" for path in paths):
        os.kill(os.getpid(), signal.SIGKILL)
    return look(paths)


@pytest.mark.skipif(os.name != "posix", reason="signals of a Unix")
def test_a_poisonous_video_costs_only_itself(files, tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.avi" for name in ("a", "b", "c", "poison", "d", "e", "f")]
    for path in paths:
        path.write_bytes(files["long"].read_bytes())
    every = table_of(*paths)
    monkeypatch.setattr(module, "look", killing_look)
    jobs, run = [], pool.run

    def noted(function, chunks, **how):
        jobs.append([paths for (paths,) in chunks])
        return run(function, chunks, **how)

    monkeypatch.setattr(pool, "run", noted)
    found = probe(every, workers=1)
    at = every.path.str.endswith("poison.avi")
    assert (found.frames[~at] == 30).all()
    assert (found.message[~at] == "").all()
    text = r"poison.avi: its worker process died \(signal 9, Killed\) twice. Is it damaged\?"
    assert re.search(text, found.message[at].item())
    assert found.bytes[at].item() == files["long"].stat().st_size
    first, second = jobs
    assert len(first) == 4
    assert second == [[str(path)] for path in paths[2:4]]  # no other is looked at again


def test_chunks_have_limits_of_time():
    assert module._limit((["a"],)) == 61
    assert module._limit((["a"] * 64,)) == 124


def test_impossible_promises_are_unknown(files, monkeypatch):
    for promise in ((-(2**63), 25.0), (2**62, math.inf), (0, math.nan), (-1, -3.0)):
        monkeypatch.setattr(module, "promised_frames", lambda path, promise=promise: promise)
        (found,) = probe(table(files, ["long"]), workers=0).itertuples()
        assert (found.frames, found.message, found.width) == (0, "", 64)
        assert found.fps == (25.0 if promise[1] == 25.0 else 0.0)


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (pd.DataFrame({"file": ["a"]}), "column 'path' with the path of a video file in each row"),
        (pd.DataFrame({"path": ["a", None]}), "Received: 2 rows with the columns ['path']"),
    ],
)
def test_tables_without_paths_are_refused(broken, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        probe(broken, workers=0)


def rows(**columns):
    n = len(columns["frames"])
    base = {"fps": [25.0] * n, "width": [320] * n, "height": [240] * n, "bytes": [1000] * n}
    return pd.DataFrame(base | {"message": [""] * n} | columns, index=[f"v{i}" for i in range(n)])


def test_summary_of_numbers():
    probed = rows(
        frames=[100, 40, 250, 0, 60, 0],
        fps=[25.0, 25.0, 50.0, 25.0, 30000 / 1001, 0.0],
        width=[320, 320, 1280, 0, 1280, 320],
        height=[240, 240, 720, 0, 720, 240],
        bytes=[10, 20, 30, 5, 40, 50],
        message=["", "", "", "bad", "", ""],
    )
    facts = summary(probed)
    assert facts == json.loads(json.dumps(facts)) | {
        "frames": {"shortest": ("v1", 40), "median": 80.0, "longest": ("v2", 250)},
        "seconds": {
            "shortest": ("v1", 1.6),
            "median": pytest.approx(3.001),
            "longest": ("v2", 5.0),
        },
    }
    assert (facts["videos"], facts["unreadable"], facts["unknown_length"]) == (6, 1, 1)
    assert list(facts["sizes"].items()) == [("320x240", 3), ("1280x720", 2)]
    assert list(facts["fps"].items()) == [("25", 2), ("29.97", 1), ("50", 1), ("unknown", 1)]
    assert facts["hours"] == pytest.approx((4 + 1.6 + 5 + 2.002) / 3600)
    assert facts["bytes"] == 155


def test_summary_names_videos_by_their_ids(files, tmp_path):
    every = table(files, ["long", "one", "text"])
    probed = every.join(probe(every, workers=0))
    probed.to_csv(tmp_path / "probed.csv", index=False)
    for given in (probed, pd.read_csv(tmp_path / "probed.csv")):  # which makes NaN of ""
        facts = summary(given)
        assert facts["frames"]["longest"] == ("long", 30)
        assert facts["seconds"]["shortest"] == ("one", pytest.approx(0.1))
        assert facts["unreadable"] == 1
    with pytest.raises(ValueError, match=r"as `probe` gives them. Received: no column \['fps'\]"):
        summary(probed.drop(columns="fps"))


def test_real_clips(shared_data):
    paths = sorted((shared_data / "ucf101_clips").glob("*/*.avi"))
    if not paths:
        pytest.skip(f"needs UCF101 clips in {shared_data}")
    facts = summary(probe(table_of(*paths).set_index("video_id", drop=False), workers=0))
    assert (facts["videos"], facts["unreadable"]) == (len(paths), 0)
    assert list(facts["sizes"]) == ["320x240"]
    assert set(facts["fps"]) <= {"25", "29.97"}
    if len(paths) == 66:
        assert facts["frames"]["shortest"][1] == 56
        assert facts["frames"]["longest"] == ("X/v_PommelHorse_g17_c03", 523)
