"""A video file through the predictor is the same clip that extraction and pipeline make of it."""

import collections
import itertools
import weakref

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.export.conftest import CLASSES, CLIP
from vidrec.export.predictor import Predictor, newest, versions
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.video import VideoError, read_frames
from vidrec.pipeline.dataset import evaluation_clips
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store


@pytest.fixture(scope="module")
def predictor(exported):
    return Predictor(exported)


def test_a_model_of_partial_data_says_so(predictor):
    assert predictor.notes == [
        "Trained on partial data: 7 of 9 videos were missing",
        "Trained on partial data: 1,203 of 13,320 videos were missing",
    ]


def test_prediction_equals_extraction_pipeline_and_keras(model, predictor, video, tmp_path):
    table = pd.DataFrame([{"video_id": "one/v", "label": "one", "group": "", "path": str(video)}])
    extract_frames(table, Store(tmp_path), workers=0)
    index = extract_flow(Store(tmp_path), workers=0)
    source = ClipSource(store=Store(tmp_path), table=index, classes=["one"], clip=CLIP)
    clip, *_ = next(iter(evaluation_clips(source, batch_size=1, short_side=75)))
    logits = np.asarray(model(clip, training=False))[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    prediction = predictor.predict(video)
    assert prediction.classes == CLASSES
    assert prediction.frames == (1, 3, 6)  # 8 starts: segments 0-1, 2-4, 5-7
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    names, values = zip(*prediction.top(2), strict=True)
    assert names == tuple(np.array(CLASSES)[np.argsort(-expected)[:2]].tolist())
    assert values == pytest.approx(np.sort(expected)[:1:-1], abs=1e-6)


def test_a_video_that_is_too_short_says_how_many_frames_it_needs(predictor, tmp_path):
    path = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (80, 80))
    for value in (10, 60, 90, 120):
        writer.write(np.full((80, 80, 3), value, np.uint8))
    writer.release()
    with pytest.raises(VideoError, match=r"short.avi has 4 frames; this model needs at least 5"):
        predictor.predict(path)


def test_a_truncated_video_is_predicted_with_a_warning(predictor, video, tmp_path):
    data = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: int(0.7 * len(data))])
    with pytest.warns(UserWarning, match=r"cut.avi seems to be truncated: \d frames decoded of 12"):
        prediction = predictor.predict(tmp_path / "cut.avi")
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_what_is_no_video_is_refused(predictor, tmp_path):
    (tmp_path / "notes.avi").write_text("not a video")
    with pytest.raises(VideoError, match="notes.avi is not a video"):
        predictor.predict(tmp_path / "notes.avi")
    with pytest.raises(VideoError, match="nowhere.avi is not a file"):
        predictor.predict(tmp_path / "nowhere.avi")


def test_a_folder_without_our_assets_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="saved_model.pb is missing.*vidrec export"):
        Predictor(tmp_path)


@pytest.mark.slow
def test_a_real_clip(predictor, shared_data):
    path = sorted(shared_data.glob("ucf101_clips/*/*.avi"))[0]
    prediction = predictor.predict(path)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert len(prediction.top(5)) == 4


def test_segments_alone_are_what_is_averaged(model, predictor, video):
    """The consensus of this model is a mean of scores, so the evidence is the scores themselves."""
    found = predictor.predict(video, evidence=True)
    assert predictor.predict(video).segments is None
    assert found.segments.shape == (3, 4)
    np.testing.assert_allclose(found.segments.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found.segments[0] - found.segments[2]).max() > 1e-3
    mean = np.log(found.segments).mean(axis=0)
    np.testing.assert_allclose(np.exp(mean) / np.exp(mean).sum(), found.probabilities, atol=1e-4)
    tops = found.segment_tops()
    assert [name for ((name, _),) in tops] == [CLASSES[i] for i in found.segments.argmax(axis=1)]


def test_a_stream_is_taken_in_windows(predictor, video):
    frames = list(read_frames(video)) * 2  # 24
    found = list(predictor.windows(iter(frames), length=12, stride=5))
    assert [(one.start, one.end) for one in found] == [(0, 12), (5, 17), (10, 22), (12, 24)]
    whole = predictor.predict(video)
    np.testing.assert_allclose(found[0].prediction.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(found[3].prediction.probabilities, whole.probabilities, atol=1e-5)
    assert found[0].prediction.frames == whole.frames
    assert found[3].prediction.frames == tuple(12 + i for i in whole.frames)
    apart = found[1].prediction.probabilities - whole.probabilities
    assert np.abs(apart).max() > 1e-3


@pytest.mark.parametrize(
    ("count", "expected"), [(12, [(0, 12)]), (7, [(0, 7)]), (13, [(0, 12), (1, 13)])]
)
def test_the_last_window_ends_with_the_stream(predictor, video, count, expected):
    frames = itertools.islice(itertools.cycle(read_frames(video)), count)
    found = predictor.windows(frames, length=12, stride=6)
    assert [(one.start, one.end) for one in found] == expected


def test_a_window_is_there_as_soon_as_its_frames_are(predictor, video):
    taken = []
    frames = (taken.append(i) or frame for i, frame in enumerate(read_frames(video)))
    next(predictor.windows(frames, length=7, stride=2))
    assert len(taken) == 7


def test_streams_do_not_grow_in_memory(predictor, video):
    """Of 300 frames no more are alive than one: what is kept is a window of JPGs."""
    alive, most = weakref.WeakSet(), 0
    picture = next(iter(read_frames(video)))

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def stream():
        nonlocal most
        for _ in range(300):
            frame = picture.copy().view(Frame)
            alive.add(frame)
            most = max(most, len(alive))
            yield frame

    windows = predictor.windows(stream(), length=8, stride=100)
    collections.deque(windows, maxlen=0)
    assert 1 <= most <= 3


def test_windows_that_cannot_be_are_refused(predictor, video):
    for options in ({"length": 4, "stride": 1}, {"length": 12, "stride": 0}):
        with pytest.raises(ValueError, match="at least 5 frames for this model, and a stride of"):
            next(predictor.windows(read_frames(video), **options))
    frames = itertools.islice(read_frames(video), 3)
    with pytest.raises(VideoError, match="The camera has 3 frames; this model needs at least 5"):
        next(predictor.windows(frames, length=12, stride=1, name="The camera"))


def test_the_highest_version_is_taken(exported, tmp_path):
    for name in ("1", "9", "10", "x"):
        (tmp_path / name).mkdir()
    assert newest(tmp_path) == tmp_path / "10"
    assert sorted(versions(tmp_path)) == [1, 9, 10]
    assert newest(tmp_path / "9") == tmp_path / "9"
    assert Predictor(exported.parent).folder == exported
