"""Predictions of many videos, of parts of long ones, and of a camera, from the command line."""

import csv
import itertools
import json

import cv2
import numpy as np
import pytest

from vidrec import cli
from vidrec.experiment.annotate import SMALLEST, annotate
from vidrec.experiment.predict import Options, sources
from vidrec.export.predictor import Predictor
from vidrec.extraction.video import VideoError, read_frames


@pytest.fixture(scope="module")
def expected(exported, video):
    """[(class, probability)] of the video."""
    return Predictor(exported).predict(video).top(4)


@pytest.fixture
def videos(video, tmp_path):
    """A folder of two videos, one of them below another folder, and what is no video."""
    folder = tmp_path / "vidéos and more"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.avi").write_bytes(video.read_bytes())
    (folder / "inner/a.AVI").write_bytes(video.read_bytes())
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.avi").write_text("no video")
    return folder


def run(exported, *arguments):
    return cli.main(["predict", *map(str, arguments), "--model", str(exported.parent)])


def test_files_folders_and_what_is_broken(exported, videos, expected, tmp_path, capsys):
    (tmp_path / "broken.avi").write_text("no video")
    broken, gone = tmp_path / "broken.avi", tmp_path / "gone.avi"
    results = tmp_path / "r.json"
    given = (broken, videos, gone, videos / "b.avi")
    assert run(exported, *given, "--top", 2, "--results", results) == 1
    out, error = capsys.readouterr()
    assert "Trained on partial data: 7 of 9 videos were missing" in out
    assert f"failed: {broken} is not a video" in error
    assert f"failed: {gone} is not a file" in error
    assert error.endswith("2 videos could not be predicted.\n")
    rows = json.loads(results.read_text())
    paths = [videos / "b.avi", videos / "inner/a.AVI", videos / "b.avi"]
    assert [row["video"] for row in rows] == [str(path) for path in paths]
    for row in rows:
        assert (row["start_s"], row["end_s"], row["frames"]) == (None, None, [1, 3, 6])
        assert [one["class"] for one in row["top"]] == [name for name, _ in expected[:2]]
        found = [one["probability"] for one in row["top"]]
        assert found == pytest.approx([p for _, p in expected[:2]], abs=1e-5)
        assert "segments" not in row
    lines = out.splitlines()
    assert lines[2:5] == [str(paths[0]), *(f"  {p:7.2%}  {name}" for name, p in expected[:2])]


def test_a_table_and_the_evidence(exported, video, expected, tmp_path, capsys):
    assert run(exported, video, "--evidence", "--results", tmp_path / "r.csv") == 0
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["class"] for row in rows] == [name for name, _ in expected]
    assert {row["video"] for row in rows} == {str(video)}
    assert float(rows[0]["probability"]) == pytest.approx(expected[0][1], abs=1e-5)
    out = capsys.readouterr().out
    for k in (1, 2, 3):
        assert f"    segment {k} alone: " in out
    assert run(exported, video, "--evidence", "--results", tmp_path / "r.json") == 0
    (row,) = json.loads((tmp_path / "r.json").read_text())
    assert len(row["segments"]) == 3
    assert sum(one["probability"] for one in row["segments"][1]) == pytest.approx(1, abs=1e-5)


def test_nothing_predicted_is_an_empty_list(exported, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "empty", "--results", tmp_path / "r.json"]
    assert run(exported, *given) == 1
    assert "empty is a folder without images" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_a_long_video_in_parts_with_its_pictures(exported, video, tmp_path, capsys):
    options = ["--window", "0.32", "--stride", "0.16", "--annotate", "--out", tmp_path / "p"]
    assert run(exported, video, *options, "--results", tmp_path / "r.json") == 0
    rows = json.loads((tmp_path / "r.json").read_text())  # 12 frames of 25 a second
    assert [(row["start_s"], row["end_s"]) for row in rows] == [(0, 0.32), (0.16, 0.48)]
    out = capsys.readouterr().out
    assert f"{video}    0:00 to 0:00.3  " in out
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [
        f"{video.stem}.mp4",
        f"{video.stem}_timeline.png",
    ]
    shown = list(read_frames(tmp_path / "p" / f"{video.stem}.mp4"))
    assert len(shown) == 12
    assert min(shown[0].shape[:2]) == SMALLEST


def test_videos_of_one_name_get_pictures_of_their_own(exported, videos, tmp_path):
    (videos / "inner/b.avi").write_bytes((videos / "b.avi").read_bytes())
    options = ["--window", "1", "--out", tmp_path / "p"]
    assert run(exported, videos / "b.avi", videos / "inner/b.avi", *options) == 0
    names = {path.name for path in (tmp_path / "p").iterdir()}
    assert names == {"b_timeline.png", "b_2_timeline.png"}


class Camera:
    """What OpenCV gives for a number; the frames of a file, again and again."""

    def __init__(self, path, opened=True, frames=None):
        self.opened = opened
        self.stream = itertools.islice(itertools.cycle(read_frames(path)), frames)
        self.released = False

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, _):
        return 10.0

    def read(self):
        frame = next(self.stream, None)
        if isinstance(frame, BaseException):
            raise frame
        return frame is not None, frame

    def release(self):
        self.released = True


@pytest.fixture
def cameras(monkeypatch):
    """{number: Camera} that OpenCV finds."""
    found, open_file = {}, cv2.VideoCapture

    def capture(source, *arguments):
        return found[source] if isinstance(source, int) else open_file(source, *arguments)

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    return found


def test_a_camera_is_watched_for_some_time(exported, video, cameras, tmp_path, capsys):
    cameras[3] = camera = Camera(video)
    options = ["--window", 1, "--stride", 0.5, "--seconds", 2]
    assert run(exported, 3, *options, "--results", tmp_path / "r.json") == 0
    rows = json.loads((tmp_path / "r.json").read_text())
    times = [(row["start_s"], row["end_s"]) for row in rows]
    assert times == [(0, 1), (0.5, 1.5), (1, 2)]
    assert {row["video"] for row in rows} == {"camera 3"}
    assert camera.released
    assert "camera 3      0:00 to 0:01" in capsys.readouterr().out


def test_ctrl_c_leaves_a_camera_and_keeps_what_was_seen(exported, video, cameras, tmp_path):
    cameras[0] = camera = Camera(video)
    camera.stream = itertools.chain(itertools.islice(camera.stream, 12), [KeyboardInterrupt()])
    assert run(exported, 0, "--window", 1, "--results", tmp_path / "r.json") == 0
    assert len(json.loads((tmp_path / "r.json").read_text())) == 1
    assert camera.released


def test_ctrl_c_among_files_keeps_what_is_done(exported, video, monkeypatch, tmp_path):
    predict = Predictor.predict

    def stop_at_second(self, path, **options):
        if str(path).endswith("second.avi"):
            raise KeyboardInterrupt
        return predict(self, path, **options)

    monkeypatch.setattr(Predictor, "predict", stop_at_second)
    second = tmp_path / "second.avi"
    second.write_bytes(video.read_bytes())
    assert run(exported, video, second, video, "--results", tmp_path / "r.json") == 130
    assert len(json.loads((tmp_path / "r.json").read_text())) == 1


def test_a_camera_that_is_not_there(exported, video, cameras, capsys):
    cameras[7] = Camera(video, opened=False)
    assert run(exported, 7) == 1
    assert "Camera 7 cannot be opened. Is it connected, and free?" in capsys.readouterr().err


def test_a_number_is_a_camera_unless_there_is_a_file(tmp_path, monkeypatch, videos):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").write_text("a file")
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "1.png"), np.zeros((8, 8), np.uint8))
    assert sources(["0", "1", "images"]) == [0, "1", "images"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "`window` must be > 0"),
        ({"stride": -1.0}, "`stride` must be > 0"),
        ({"top": 0}, "`top` must be > 0"),
        ({"results": "r.txt"}, r"`results` must be a .json or .csv file. Received: r.txt"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_annotated_frames_show_labels_and_flow(video, tmp_path):
    told = []
    labels = {number: [("Ça va", 0.9), ("b", 0.1)] for number in range(12)}
    labels[5] = [("b", 1.0), ("Ça va", 0.0)]
    done = tmp_path / "o/v.mp4"
    annotate(video, done, labels.get, engine="farneback", progress=lambda: told.append(1))
    assert len(told) == 12
    assert [path.name for path in done.parent.iterdir()] == ["v.mp4"]
    shown = np.stack(list(read_frames(done))).astype(int)
    ends = shown[:, -32:-22, -24:-8].mean(axis=(1, 2))  # of the bar in the row of the first class
    assert np.abs(ends[5] - ends[4]).max() > 5
    plain = tmp_path / "o/plain.mp4"
    annotate(video, plain, labels.get)
    without = np.stack(list(read_frames(plain))).astype(int)
    apart = np.abs(shown - without).mean(axis=(0, 3))
    corner = apart[:110, -110:]
    assert corner.mean() > 20
    assert np.abs(apart[150:300, :200]).mean() < 2  # nowhere else


def test_a_broken_video_leaves_no_annotated_one(tmp_path):
    (tmp_path / "v.avi").write_text("no video")
    with pytest.raises(VideoError, match="v.avi is not a video"):
        annotate(tmp_path / "v.avi", tmp_path / "o/v.mp4", lambda number: [])
    assert not (tmp_path / "o").exists() or list((tmp_path / "o").iterdir()) == []
