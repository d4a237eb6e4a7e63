"""A video file through the predictor is the same clip that extraction and pipeline make of it."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from vidrec.clip import ClipSpec
from vidrec.datasets import synthetic
from vidrec.export.predictor import Predictor
from vidrec.export.savedmodel import export_savedmodel
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.video import VideoError
from vidrec.models import multiseg_xception
from vidrec.pipeline.dataset import evaluation_clips
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

CLASSES = ("one", "two", "three")
CLIP = ClipSpec(segments=3, size=71, flow_length=4)


@pytest.fixture(scope="module")
def model():
    return multiseg_xception.build(len(CLASSES), CLIP)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    facts = {
        "clip": dataclasses.asdict(CLIP),
        "flow": {"engine": "fast", "bound": 20.0, "quantize": "bound"},
        "short_side": 75,
        "short_video": "error",
        "partial": [[7, 9], [1203, 13320]],
    }
    path = tmp_path_factory.mktemp("model") / "saved"
    assert export_savedmodel(model, path, classes=CLASSES, facts=facts) < 1e-4
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    spec = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=12, size=80)
    synthetic.write_videos(root, spec)
    return root / "GreenChecksOrbit/v_GreenChecksOrbit_g02_c01.avi"


def test_a_model_of_partial_data_says_so(folder):
    assert Predictor(folder).notes == [
        "Trained on partial data: 7 of 9 videos were missing",
        "Trained on partial data: 1,203 of 13,320 videos were missing",
    ]


def test_prediction_equals_extraction_pipeline_and_keras(model, folder, video, tmp_path):
    table = pd.DataFrame([{"video_id": "one/v", "label": "one", "group": "", "path": str(video)}])
    extract_frames(table, Store(tmp_path), workers=0)
    index = extract_flow(Store(tmp_path), workers=0)
    source = ClipSource(store=Store(tmp_path), table=index, classes=CLASSES, clip=CLIP)
    clip, *_ = next(iter(evaluation_clips(source, batch_size=1, short_side=75)))
    logits = np.asarray(model(clip, training=False))[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    prediction = Predictor(folder).predict(video)
    assert prediction.classes == CLASSES
    assert prediction.frames == (1, 3, 6)  # 8 starts: segments 0-1, 2-4, 5-7
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    names, values = zip(*prediction.top(2), strict=True)
    assert names == tuple(np.array(CLASSES)[np.argsort(-expected)[:2]].tolist())
    assert values == pytest.approx(np.sort(expected)[:0:-1], abs=1e-6)


def test_a_video_that_is_too_short_says_how_many_frames_it_needs(folder, tmp_path):
    path = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (80, 80))
    for value in (10, 60, 90, 120):
        writer.write(np.full((80, 80, 3), value, np.uint8))
    writer.release()
    with pytest.raises(VideoError, match=r"short.avi has 4 frames; this model needs at least 5"):
        Predictor(folder).predict(path)


def test_a_truncated_video_is_predicted_with_a_warning(folder, video, tmp_path):
    data = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: int(0.7 * len(data))])
    with pytest.warns(UserWarning, match=r"cut.avi seems to be truncated: \d frames decoded of 12"):
        prediction = Predictor(folder).predict(tmp_path / "cut.avi")
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_what_is_no_video_is_refused(folder, tmp_path):
    (tmp_path / "notes.avi").write_text("not a video")
    with pytest.raises(VideoError, match="notes.avi is not a video"):
        Predictor(folder).predict(tmp_path / "notes.avi")
    with pytest.raises(VideoError, match="nowhere.avi is not a file"):
        Predictor(folder).predict(tmp_path / "nowhere.avi")


def test_a_folder_without_our_assets_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="saved_model.pb is missing.*vidrec export"):
        Predictor(tmp_path)


@pytest.mark.slow
def test_a_real_clip(folder, shared_data):
    path = sorted(shared_data.glob("ucf101_clips/*/*.avi"))[0]
    prediction = Predictor(folder).predict(path)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert len(prediction.top(5)) == 3
