"""The demo page: what it shows of a prediction, and that it is served to a client and a browser."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import types
import urllib.error
import urllib.request

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from tests.browser import BROWSER, browser
from vidrec import cli
from vidrec.clip import ClipSpec
from vidrec.experiment.preview import mean_flow
from vidrec.experiment.shown_prediction import (
    ShownPrediction,
    central_views,
    facts_of,
    show_moments,
    show_prediction,
)
from vidrec.export.predictor import Prediction, Predictor
from vidrec.export.recipe import ClipRecipe
from vidrec.export.savedmodel import export_savedmodel
from vidrec.export.video_clip import read_clip
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.extraction.engines import FlowSettings

CLASSES = tuple(f"<{name}>" for name in ("run", "jump", "sit", "stand", "walk", "swim"))
CLIP = ClipSpec(segments=3, size=71, flow_length=2)
FLOW = FlowSettings(engine="farneback")
ACCURACY = {"top1": 0.5, "top5": 0.75, "interval_low": 0.25, "interval_high": 0.625}


def small_model():
    """Two streams, whose scores are means over time, as those of `multiseg_xception`."""
    inputs, scores = {}, []
    for name in CLIP.modalities:
        inputs[name] = keras.Input(CLIP.shape(name), dtype="uint8", name=name)
        x = keras.layers.Rescaling(1 / 32, -4)(inputs[name])
        x = keras.layers.Conv3D(16, (1, 7, 7), strides=(1, 4, 4), activation="relu")(x)
        scores.append(keras.layers.Dense(len(CLASSES))(keras.layers.GlobalAveragePooling3D()(x)))
    return keras.Model(inputs, keras.layers.add(scores))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "saved"
    facts = ClipRecipe(clip=CLIP, flow=FLOW, short_side=75).facts()
    facts |= {"experiment": "<tiny>", "partial": [[7, 9]]}
    export_savedmodel(small_model(), path, classes=CLASSES, facts=facts)
    return Predictor(path)


def random_clip(recipe, seed=0):
    """What `read_clip` returns, and the recipe's views of it, of random images."""
    rng = np.random.default_rng(seed)
    spec = recipe.clip
    shape = recipe.clips * recipe.crops, spec.frames, spec.size, spec.size
    clip = {
        name: rng.integers(0, 256, (*shape, spec.channels(name)), dtype=np.uint8)
        for name in spec.modalities
    }
    return clip, np.arange(recipe.clips * spec.frames).reshape(recipe.clips, -1) * 3


def test_what_is_shown_is_what_the_model_got_and_said(predictor, video):
    shown = show_prediction(predictor, video)
    clip, frames = read_clip(video, predictor.recipe)
    expected = predictor.predict(video, evidence=True)
    assert shown.messages == []
    np.testing.assert_array_equal(shown.prediction.probabilities, expected.probabilities)
    assert [moment.caption for moment in shown.moments] == [
        f"frame {frame + 1}, segment {k}" for k, frame in enumerate(frames[0], 1)
    ]
    flows = [mean_flow(codes, FLOW) for codes in clip["flow"][0].numpy()]
    largest = max(1.0, np.percentile(np.hypot(*np.moveaxis(flows, 3, 0)), 99))
    assert shown.largest == f"{largest:.1f} px"
    for k, moment in enumerate(shown.moments):
        np.testing.assert_array_equal(moment.pictures["rgb"], clip["rgb"][0, k])
        colours = flow_colours(flows[k], largest=largest)
        np.testing.assert_array_equal(moment.pictures["flow"], colours)
    order = np.argsort(-expected.probabilities)[:5]
    table = shown.segments
    assert list(table.columns) == ["Segment", "Frames", "Says", *np.array(CLASSES)[order]]
    for k, row in enumerate(table.values.tolist()):
        scores = expected.probabilities if k == 3 else expected.segments[k]
        frame = "" if k == 3 else str(frames[0, k] + 1)
        says = CLASSES[scores.argmax()]
        number = "all" if k == 3 else str(k + 1)
        assert row == [number, frame, says, *(f"{share:.1%}" for share in scores[order])]
    assert len(table) == 4
    assert show_prediction(predictor, video, segments=False).segments is None


def test_why_there_is_no_prediction(predictor, video, tmp_path):
    data = video.read_bytes()
    (tmp_path / "notes.avi").write_text("not a video")
    (tmp_path / "cut.avi").write_bytes(data[: int(0.7 * len(data))])
    writer = cv2.VideoWriter(
        str(tmp_path / "short.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (80, 80)
    )
    for value in (10, 60):
        writer.write(np.full((80, 80, 3), value, np.uint8))
    writer.release()
    why = {
        "notes.avi": "notes.avi is not a video that OpenCV's FFmpeg can read. Is it damaged?",
        "short.avi": "short.avi has 2 frames; this model needs at least 3.",
        "gone.avi": "gone.avi is not a file. Give the path of a video file on this machine.",
    }
    for name, message in why.items():
        assert show_prediction(predictor, tmp_path / name) == ShownPrediction([message])
    cut = show_prediction(predictor, str(tmp_path / "cut.avi"), segments=False)
    (message,) = cut.messages
    assert re.match(r"cut\.avi seems to be truncated: \d frames decoded of 12", message)
    assert len(cut.moments) == 3


def test_the_view_in_the_middle_of_ten(video):
    recipe = ClipRecipe(clip=CLIP, flow=FLOW, short_side=75, crops=10)
    clip, _ = read_clip(video, recipe)
    middle, _ = read_clip(video, dataclasses.replace(recipe, crops=1))
    found = central_views(clip, recipe)
    for name in ("rgb", "flow"):
        np.testing.assert_array_equal(found[name], middle[name])
    recipe = dataclasses.replace(recipe, crops=5, clips=2)
    clip, _ = random_clip(recipe)
    np.testing.assert_array_equal(central_views(clip, recipe)["rgb"], clip["rgb"][[4, 9]])


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_one_modality_many_clips_and_a_single_segment(modality, tmp_path, monkeypatch):
    """Of 4 clips of 16 frames, 32 moments from the first to the last; no table of segments."""
    spec = ClipSpec(
        segments=1, frames_per_segment=16, size=8, modalities=(modality,), flow_length=1
    )
    flow = FlowSettings(engine="farneback", quantize="minmax") if modality == "flow" else None
    recipe = ClipRecipe(clip=spec, flow=flow, clips=4)
    clip, frames = random_clip(recipe)
    moments, largest = show_moments(clip, frames, recipe)
    assert len(moments) == 32
    assert (moments[0].caption, moments[-1].caption) == ("frame 1, clip 1", "frame 190, clip 4")
    assert all(list(moment.pictures) == [modality] for moment in moments)
    assert largest == {"rgb": None, "flow": "1.3"}[modality]
    assert len({moment.pictures[modality].tobytes() for moment in moments}) == 32
    if modality == "rgb":
        np.testing.assert_array_equal(moments[-1].pictures["rgb"], clip["rgb"][3, 15])

    prediction = Prediction(("a", "b"), np.array([0.25, 0.75], np.float32), tuple(frames.ravel()))
    asked = []
    stub = types.SimpleNamespace(
        recipe=recipe,
        of_clip=lambda clip, frames, evidence: asked.append(evidence) or prediction,
    )
    monkeypatch.setattr(
        "vidrec.experiment.shown_prediction.read_clip", lambda path, recipe: (clip, frames)
    )
    shown = show_prediction(stub, tmp_path / "v.avi")
    assert asked == [False]
    assert shown.segments is None
    assert shown.messages == ["Shown below: 32 of 64 moments."]


def test_the_facts_of_a_model(predictor):
    old = dict(facts_of(predictor))
    assert old["Paper"] == "not told. A reproduction by vidrec, not the authors' weights."
    assert old["Accuracy"] == "not evaluated"
    assert old["Note"] == "Trained on partial data: 7 of 9 videos were missing"
    assert old["Looks at"] == "3 moments of a video, 71x71 px: RGB and 2 pairs of optical flow"
    assert old["Limits"] == "It knows 6 classes alone: every video gets one of them."
    facts = {
        "paper": "Someone: Something. 2021",
        "data": {"dataset": "ucf101", "split": "official-1", "videos": {"train": 9537}},
        "accuracy": ACCURACY | {"videos": 8.0, "chance": 0.0625},
    }
    model = types.SimpleNamespace(
        facts=facts,
        recipe=dataclasses.replace(predictor.recipe, crops=10),
        classes=CLASSES,
        notes=[],
    )
    new = dict(facts_of(model))
    assert new["Paper"].startswith("Someone: Something. 2021. A reproduction")
    assert new["Trained on"] == "ucf101, split official-1: 9537 videos"
    assert new["Accuracy"] == (
        "top-1 50.0% (95%: 25.0% to 62.5%), top-5 75.0%, of 8 test videos; chance 6.2%"
    )
    assert new["Looks at"].endswith(
        "flow; 1 x 10 views of them, averaged (the central ones are shown)"
    )


def test_without_gradio(predictor, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["demo-page", str(predictor.folder)]) == 2
    assert "pip install 'vidrec[demo]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def served(predictor, tmp_path_factory):
    """The page's URL, served by another process: gradio leaves sockets open, which fails tests."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs gradio: pip install 'vidrec[demo]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-m", "vidrec.cli", "demo-page", str(predictor.folder)]
    environment = os.environ | {"TMPDIR": str(folder), "HTTP_PROXY": "http://127.0.0.1:9"}
    process = subprocess.Popen(
        [*command, "--port", str(port), "--largest", "1"], stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert line.startswith(f"http://127.0.0.1:{port}/  ")
        yield line.split()[0], folder
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        process.stdout.close()
    assert code == 0
    assert not list(folder.glob("vidrec-demo-*"))


def fetch(url, data=None, kind="application/json"):
    """The text of a response; HTTPError has that of a refusal."""
    request = urllib.request.Request(url, data, {"Content-Type": kind} if data else {})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.closing(direct.open(request, timeout=120)) as response:
        return response.read().decode()


def upload(url, path):
    """The server's path of an uploaded file."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    data = head.encode() + path.read_bytes() + b"\r\n--x--\r\n"
    return json.loads(fetch(f"{url}gradio_api/upload", data, "multipart/form-data; boundary=x"))[0]


def ask(url, path):
    """(event, what the page is given) for a file of the server, segments asked too."""
    data = {"data": [{"path": str(path), "meta": {"_type": "gradio.FileData"}}, True]}
    call = f"{url}gradio_api/call/predict"
    event = json.loads(fetch(call, json.dumps(data).encode()))["event_id"]
    name, value = fetch(f"{call}/{event}").strip().split("\n")[-2:]
    return name.removeprefix("event: "), json.loads(value.removeprefix("data: "))


def test_the_page_answers_as_the_predictor_does(served, predictor, video):
    url, _ = served
    event, (top, message, pictures, table, *_) = ask(url, upload(url, video))
    assert event == "complete"
    expected = predictor.predict(video).top(5)
    assert top["label"] == expected[0][0]
    assert [each["label"] for each in top["confidences"]] == [name for name, _ in expected]
    shares = [each["confidence"] for each in top["confidences"]]
    assert shares == pytest.approx([share for _, share in expected], abs=1e-6)
    shown = show_prediction(predictor, video)
    assert table["value"]["data"] == shown.segments.values.tolist()
    assert pictures["value"].count("data:image/jpeg;base64,") == 7  # 3 frames, 3 of flow, a wheel
    for moment in shown.moments:
        assert moment.caption in pictures["value"]
    assert not message["visible"]


def test_bad_uploads_get_an_answer_and_the_server_goes_on(served, video, tmp_path):
    url, _ = served
    (tmp_path / "notes <b>.txt").write_text("not a video")
    for _ in range(2):
        event, (top, message, pictures, table, player, _) = ask(
            url, upload(url, tmp_path / "notes <b>.txt")
        )
        assert event == "complete"
        assert not top
        assert "is not a video that OpenCV" in message["value"]
        assert "<b>" not in message["value"]
        assert "/" not in re.sub(r"</?p[^>]*>", "", message["value"])  # no folder of the server
        assert not any(each["visible"] for each in (pictures, table, player))
    assert ask(url, upload(url, video))[1][0]["label"] in CLASSES
    with open(tmp_path / "large.avi", "wb") as file:
        file.truncate(2 << 20)
    with pytest.raises(urllib.error.HTTPError, match="413"):
        upload(url, tmp_path / "large.avi")


def test_nothing_but_uploads_is_read(served, video):
    url, folder = served
    for path in (video, "/etc/hostname", "http://example.com/a.avi", "https://example.com/a.avi"):
        event, _ = ask(url, path)
        assert event == "error"
    for path in ("http://example.com/", "https://example.com/a.avi", "/etc/hostname"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{url}gradio_api/file={path}")
    (uploads,) = folder.glob("vidrec-demo-*")
    assert uploads.stat().st_mode & 0o777 == 0o700
    assert list(uploads.glob(f"*/{video.name}"))


@pytest.mark.slow
def test_a_port_that_is_taken(served, predictor):
    url, _ = served
    port = url.rstrip("/").split(":")[-1]
    command = [sys.executable, "-m", "vidrec.cli", "demo-page", str(predictor.folder)]
    done = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_in_a_browser(served, predictor, video, tmp_path):
    """A clip is given to the page itself; all is there, within the edges, and from this machine."""
    url, _ = served
    with browser(tmp_path / "profile") as tab:
        tab.open(url)
        tab.wait_for("document.querySelector('input[type=file]') !== null")
        tab.upload("input[type=file]", video)
        tab.wait_for("document.querySelectorAll('.moments img').length == 7")
        tab.wait_for("document.body.innerText.includes('Says')")
        text = tab.value("document.body.innerText")
        elsewhere = [one for one in tab.requested if not one.startswith((url, "data:", "blob:"))]
        assert elsewhere == tab.errors == []
        for width in (1280, 500):
            tab.screenshot(tmp_path / f"{width}.png", width)
            assert tab.value("document.documentElement.scrollWidth") <= width
            with Image.open(tmp_path / f"{width}.png") as image:
                pixels = np.asarray(image.convert("RGB"))
            assert len(np.unique(pixels.reshape(-1, 3)[::7], axis=0)) > 500  # pictures
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert tab.value(broken) == 0
    assert "vidrec: <tiny>" in text
    assert "7 of 9 videos were missing" in text
    for name, share in predictor.predict(video).top(5):
        assert re.search(rf"{name}\s+{share:.0%}", text)
    for moment in show_prediction(predictor, video).moments:
        assert moment.caption in text
