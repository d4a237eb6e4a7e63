"""What is on a picture of attention: read from the figure, and held against the model's scores."""

import re
import shutil
import types

import cv2
import keras
import matplotlib
import numpy as np
import pytest

from tests.experiment.conftest import STAGE, assert_nothing_overlaps, texts, write_run
from tests.models.small_tstam import liven
from vidrec import cli, config
from vidrec.clip import ClipSpec, decode_flow
from vidrec.experiment import runs
from vidrec.experiment.attention import (
    attend,
    effective_number,
    heat_map,
    most_watched,
    show_attention,
)
from vidrec.export.recipe import ClipRecipe
from vidrec.export.video_clip import read_clip
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.video import VideoError, read_frames
from vidrec.models import registry, tstam
from vidrec.pipeline.policies import Sampling

CLASSES = ("Jump", "Run", "Swing", "Turn")
OPTIONS = {"num_spatial": 2, "map_dim": 16, "temporal_hidden": 8, "se_blocks": []}
PLAN = config.Experiment.model_validate(
    {
        "name": "tiny",
        "model": {"name": "tstam", "options": OPTIONS},
        "clip": {"segments": 3, "size": 64, "flow_length": 2},
        "sampling": {"policy": "intervals"},
        "data": {
            "videos": "v",
            "root": "r",
            "split": {"name": "random-8:2"},
            "flow": {"engine": "farneback", "bound": 8},
        },
        "streams": {stream: {"stages": [STAGE]} for stream in ("spatial", "temporal")},
        "evaluation": {"segments": 5, "resize": [66, 88]},
    }
)
RECIPE = ClipRecipe(
    clip=ClipSpec(segments=5, size=64, flow_length=2),
    sampling=Sampling(policy="intervals"),
    flow=FlowSettings(engine="farneback", bound=8),
    resize=(66, 88),
)
FRAMES = [2, 4, 6, 8, 10]  # 10 places in 12 frames, counted from 1, for both streams


@pytest.fixture(scope="module")
def video(drawn):
    return drawn / "BlueDotsSwing/v_BlueDotsSwing_g02_c01.avi"


@pytest.fixture(scope="module")
def clip(video):
    """Both modalities as the test has them: uint8 (T, S, S, C)."""
    found, _ = read_clip(video, RECIPE)
    return {name: images.numpy()[0] for name, images in found.items()}


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory):
    """Run folders of both streams, of random weights. Read it only."""
    root = tmp_path_factory.mktemp("runs")
    for stream, modality, missing in (("spatial", "rgb", 0), ("temporal", "flow", 7)):
        keras.utils.set_random_seed(3)
        spec = PLAN.clip_spec(stream)
        model = tstam.build(len(CLASSES), spec, **OPTIONS)
        liven(model, {modality: clip[modality][None]})
        run_of(root / stream, model, PLAN, stream, missing=missing)
    return root


def run_of(run, model, plan, stream, *, missing=0):
    data = {"missing": missing, "expected": 9, "parent": None}
    write_run(run, plan, stream, model, CLASSES, ["Jump/a"], data=data)


def scores_of(run, images, modality):
    """Probabilities (N,), temporal (T,) and spatial scores (T, h, w, J) of images (T, S, S, C)."""
    model = tstam.attention_model(runs.load_stream(run).model)
    found = model({modality: images[None]}, training=False)
    logits, temporal, spatial = (
        np.asarray(found[name])[0] for name in ("logits", "temporal_scores", "spatial_scores")
    )
    return np.exp(logits) / np.exp(logits).sum(), temporal, spatial


def flow_of(codes):
    """uint8 (T, S, S, 4) to the mean of two pairs, px (T, S, S, 2)."""
    px = decode_flow(codes, bound=8)
    return (px[..., :2] + px[..., 2:]) / 2


def full_colour(flow):
    return max(1.0, np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99))


def read(figure):
    """[captions], [pictures] of the rows: those of frames, of the legend, of each spatial model."""
    captions = [t for t in texts(figure) if re.match(r"(frame \d|peak |[\d.]+% to )", t)]
    images = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    images = images[len(images) - len(captions) :]  # the first may be the colour wheel
    columns = len([text for text in captions if text.startswith("frame")])
    return [
        (captions[i : i + columns], images[i : i + columns])
        for i in range(0, len(captions), columns)
    ]


def words(figure):
    return " ".join(texts(figure)).replace("/ ", "/")


def entropy_count(scores):
    return np.exp(-np.sum(scores * np.log(scores)))


@pytest.mark.parametrize(("stream", "modality"), [("spatial", "rgb"), ("temporal", "flow")])
def test_the_picture_shows_the_model_s_scores(
    folder, video, clip, tmp_path, saved_figures, stream, modality
):
    found = show_attention(folder / stream, video, tmp_path / "p.png")
    probabilities, temporal, spatial = scores_of(folder / stream, clip[modality], modality)
    assert temporal.std() > 0.01
    assert spatial.shape == (5, 2, 2, 2)
    np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-5)
    assert found.classes == CLASSES
    assert [frame + 1 for frame in found.frames] == FRAMES
    (figure,) = saved_figures
    assert_nothing_overlaps(figure)
    (captions, pictures), (steps, bars), *models = read(figure)
    assert captions == [
        f"frame {frame}: {score:.2%}" for frame, score in zip(FRAMES, temporal, strict=True)
    ]
    if modality == "rgb":
        np.testing.assert_array_equal(pictures, clip["rgb"])
        grays = np.array(pictures) @ [0.299, 0.587, 0.114]
    else:
        flow = flow_of(clip["flow"])
        expected = [flow_colours(field, largest=full_colour(flow)) for field in flow]
        assert np.abs(np.array(pictures, int) - expected).max() <= 1
        grays = np.min(pictures, axis=-1)  # white less the length of motion

    largest = spatial.max()
    corners = [(0, 0), (0, 63), (63, 0), (63, 63)]
    assert len(models) == 2
    for j, (captions, pictures) in enumerate(models):
        assert captions == [f"peak {scores.max():.1%}" for scores in spatial[..., j]]
        for t in range(5):  # the corners of an image are those of its cells
            for (y, x), cell in zip(corners, np.ndindex(2, 2), strict=True):
                heat = spatial[t][cell][j] / largest
                colour = 255 * np.array(matplotlib.colormaps["plasma"](heat)[:3])
                opacity = 0.8 * np.sqrt(heat)
                pixel = (1 - opacity) * (64 + 0.75 * grays[t, y, x]) + opacity * colour
                assert np.abs(pictures[t][y, x] - pixel).max() <= 1.5  # gray is rounded

    assert [bar.shape for bar in bars] == [(1, 256, 3)] * 5
    assert steps[0] == f"0.0% to {largest / 5:.1%}"
    assert steps[-1].endswith(f" to {largest:.1%}")
    np.testing.assert_array_equal(bars[-1][0, -1], [224, 231, 59])  # on gray 128, by hand
    np.testing.assert_array_equal(bars[0][0, 0], [160, 160, 160])

    said = words(figure)
    assert f"tiny: where the {stream} stream looks" in said
    top = np.argsort(-probabilities)[:3]
    assert " ".join(f"{probabilities[i]:.1%}  {CLASSES[i]}" for i in top) in said
    assert video.name in said
    assert '5 frames of 64x64 px, counted from 1, by sampling "intervals" without draws.' in said
    assert "The first row shows all of them." in said
    assert "20.00% (1/5) would be no preference" in said
    assert "of the 2x2 cells of a frame: they sum to 100% too, and 25.0% (1/4) would be no" in said
    assert f"Full colour is {largest:.1%}, the largest score shown." in said
    assert f"frames count as {entropy_count(temporal):.1f} of 5" in said
    for j in range(2):
        count = np.mean([entropy_count(spatial[t, ..., j]) for t in range(5)])
        assert f"spatial model {j + 1} cells count as {count:.1f} of 4 (mean of 5 frames)" in said
    motion = "A frame's picture is the mean of the 2 flow pairs of its stack, in px of the video."
    partial = "Trained on partial data: 7 of 9 videos were missing."
    for text in (motion, partial, "Motion rim:"):
        assert (text in said) == (stream == "temporal")


@pytest.mark.parametrize("stream", ["spatial", "temporal"])
def test_the_frames_with_the_largest_scores_are_shown(
    folder, video, clip, tmp_path, saved_figures, stream
):
    modality = {"spatial": "rgb", "temporal": "flow"}[stream]
    _, temporal, spatial = scores_of(folder / stream, clip[modality], modality)
    for columns in (1, 3):
        show_attention(folder / stream, video, tmp_path / "p.png", columns=columns)
        figure = saved_figures[-1]
        assert_nothing_overlaps(figure)
        (captions, pictures), (steps, _), *models = read(figure)
        shown = sorted(sorted(range(5), key=lambda t: -temporal[t])[:columns])
        assert captions == [f"frame {FRAMES[t]}: {temporal[t]:.2%}" for t in shown]
        if modality == "rgb":
            np.testing.assert_array_equal(pictures, clip["rgb"][shown])
        assert [c for c, _ in models] == [
            [f"peak {spatial[t, ..., j].max():.1%}" for t in shown] for j in range(2)
        ]
        said, largest = words(figure), spatial[shown].max()
        assert (
            f"The first row shows {columns} of 5 frames, those with the largest temporal score, in "
            "order of time."
        ) in said
        assert f"Full colour is {largest:.1%}," in said  # of those that are shown
        assert steps[-1].endswith(f" to {largest:.1%}")
        assert f"frames count as {entropy_count(temporal):.1f} of 5" in said  # of all


def test_which_frames_have_the_largest_scores():
    scores = np.array([0.1, 0.3, 0.2, 0.3, 0.1])
    for columns, frames in ((1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3])):
        assert most_watched(scores, columns).tolist() == frames
    assert most_watched(scores, 9).tolist() == [0, 1, 2, 3, 4]


def test_how_many_scores_count():
    assert effective_number(np.full((7, 7), 1 / 49, np.float32)) == pytest.approx(49)
    assert effective_number([0.0, 1.0, 0.0]) == 1
    assert effective_number([0.5, 0.25, 0.25]) == pytest.approx(2**1.5)


def test_a_heat_map_by_hand():
    gray = np.full((64, 64), 100, np.uint8)  # paler: 139
    found = heat_map(gray, np.array([[0, 0.2], [0.1, 0.05]], np.float32), 0.2)
    assert (found.dtype, found.shape) == (np.uint8, (64, 64, 3))
    np.testing.assert_array_equal(found[:16, :16], np.full((16, 16, 3), 139))
    # Plasma ends with (0.940, 0.975, 0.131): a fifth of 139 and four fifths of that.
    np.testing.assert_array_equal(found[0, 63], [220, 227, 55])
    # Between the centres of the upper cells, at 15.5 and 47.5 px, 24.5 of 32 px from the first.
    heat = 24.5 / 32
    opacity, colour = 0.8 * heat**0.5, np.array(matplotlib.colormaps["plasma"](heat)[:3])
    expected = np.rint((1 - opacity) * 139 + opacity * 255 * colour)
    np.testing.assert_array_equal(found[0, 40], expected)


def test_relative_codes_are_not_in_px(folder, video, tmp_path, saved_figures):
    shutil.copytree(folder / "temporal", tmp_path / "run")
    flow = PLAN.data.flow.model_copy(update={"quantize": "minmax"})
    plan = PLAN.model_copy(update={"data": PLAN.data.model_copy(update={"flow": flow})})
    (tmp_path / "run/config.yaml").write_text(config.dump(plan))
    show_attention(tmp_path / "run", video, tmp_path / "p.png")
    said = words(saved_figures[0])
    assert "of the 2 flow pairs of its stack, in half ranges of each flow image." in said
    assert re.search(r"rim: 1\.\d or more", said)


def test_a_folder_of_images_is_a_clip(folder, video, tmp_path):
    for i, frame in enumerate(read_frames(video), 1):
        cv2.imwrite(str(tmp_path / f"{i}.png"), frame)
    seen = [attend(folder / "spatial", path) for path in (tmp_path, video)]
    np.testing.assert_array_equal(seen[0].spatial, seen[1].spatial)


def test_a_video_that_is_too_short_is_refused(folder, video, tmp_path):
    (tmp_path / "short").mkdir()
    for i, frame in enumerate(list(read_frames(video))[:2], 1):
        cv2.imwrite(str(tmp_path / f"short/{i}.png"), frame)
    with pytest.raises(VideoError, match=r"short has 2 frames; this model needs at least 3\."):
        show_attention(folder / "spatial", tmp_path / "short", tmp_path / "p.png")
    with pytest.raises(VideoError, match="nowhere.avi is not a file"):
        show_attention(folder / "spatial", tmp_path / "nowhere.avi", tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()


def test_a_folder_that_is_no_run_is_refused(folder, video, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no complete run: .*config.yaml is miss"):
        show_attention(folder, video, tmp_path / "p.png")


@pytest.mark.parametrize(
    ("name", "stream", "message"),
    [
        ("plain", "spatial", r"can be drawn, one of \['tstam'\]. .*run, a run of plain"),
        ("tstam", "joint", "must be of one stream, spatial or temporal. .*run, a joint stream"),
    ],
)
def test_models_without_one_stream_s_attention_are_refused(
    video, tmp_path, monkeypatch, name, stream, message
):
    def build(num_classes, clip, *, weights=None):
        inputs = {m: keras.Input((None, *clip.shape(m)[1:]), name=m) for m in clip.modalities}
        x = sum(keras.ops.mean(x, axis=(1, 2, 3, 4))[:, None] for x in inputs.values())
        return keras.Model(inputs, keras.layers.Dense(num_classes)(x))

    module = types.SimpleNamespace(build=build)
    if name == "tstam":
        module.attention_model = tstam.attention_model
    monkeypatch.setitem(registry.MODELS, name, module)
    content = PLAN.model_dump() | {
        "model": {"name": name},
        "streams": {stream: {"stages": [STAGE]}},
    }
    plan = config.Experiment.model_validate(content)
    run_of(tmp_path / "run", build(len(CLASSES), plan.clip_spec()), plan, stream)
    with pytest.raises(ValueError, match=message):
        show_attention(tmp_path / "run", video, tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()


@pytest.mark.parametrize("columns", [0, 65, 2.0])
def test_columns_out_of_range_are_refused(folder, video, tmp_path, columns):
    with pytest.raises(ValueError, match=f"from 1 to 64. Received: columns={columns}"):
        show_attention(folder / "spatial", video, tmp_path / "p.png", columns=columns)


def test_the_command_line(folder, video, clip, tmp_path, monkeypatch, capsys, saved_figures):
    monkeypatch.chdir(tmp_path)
    command = ["show-attention", str(folder / "spatial"), str(video)]
    assert cli.main(command) == 0
    probabilities, *_ = scores_of(folder / "spatial", clip["rgb"], "rgb")
    first, *classes, path = capsys.readouterr().out.splitlines()
    assert first == str(video)
    assert path == "attention.png"
    top = np.argsort(-probabilities)[:3]
    assert classes == [f"  {probabilities[i]:7.2%}  {CLASSES[i]}" for i in top]
    assert cli.main([*command, "--out", "out/own.png", "--columns", "2"]) == 0
    assert capsys.readouterr().out.endswith("out/own.png\n")
    assert [len(read(figure)[0][0]) for figure in saved_figures] == [5, 2]
    for path in ("attention.png", "out/own.png"):
        assert (tmp_path / path).read_bytes()[:4] == b"\x89PNG"
    assert cli.main([*command, "--columns", "0"]) == 2
    assert "vidrec show-attention: `columns` must be an integer" in capsys.readouterr().err
