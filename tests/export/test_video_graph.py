"""Clips that a graph makes of frames are those that are made of the file."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec, encode_flow
from vidrec.export import agreement as compared
from vidrec.export import video_clip
from vidrec.export.agreement import agreement
from vidrec.export.recipe import ClipRecipe
from vidrec.export.video_clip import clip_of
from vidrec.export.video_graph import AT_ONCE, GRAPHS, encode, gray, lacks_graph, views_of
from vidrec.extraction.engines import FlowSettings, compute_flow
from vidrec.extraction.video import read_frames
from vidrec.pipeline.policies import Sampling

CLIP = ClipSpec(segments=3, size=64, flow_length=2)
FARNEBACK = FlowSettings(engine="farneback", bound=8)
RECIPE = ClipRecipe(clip=CLIP, flow=FARNEBACK, short_side=70)


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def of_the_processor(first, second):
    """Flow of pairs by the very engine that the file's clip is made with."""

    def compute(first, second):
        return np.stack(
            [compute_flow(a, b, engine="farneback") for a, b in zip(first, second, strict=True)]
        )

    flow = tf.numpy_function(compute, [first, second], tf.float32)
    return tf.ensure_shape(flow, [None, None, None, 2])


@pytest.fixture
def lossless(monkeypatch):
    """Frames and flow are kept as PNG, gray is the graph's and flow the processor's: what is left
    must be equal."""

    def decode_gray(data):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return image if image.ndim == 2 else gray(image[..., ::-1]).numpy()

    monkeypatch.setattr(video_clip, "decode_gray", decode_gray)
    for module in (video_clip, compared):
        monkeypatch.setattr(module, "encode_jpeg", png)
    monkeypatch.setitem(GRAPHS, "farneback", of_the_processor)


@pytest.fixture(scope="module")
def frames(video):
    return list(read_frames(video))


def both(frames, recipe):
    """The clip of the graph, and that of the file."""
    rgb = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])
    anything = tf.TensorSpec([None, None, None, 3], tf.uint8)
    graph = tf.function(lambda video: views_of(video, recipe), [anything], autograph=False)
    found, _ = clip_of([png(frame) for frame in frames], len(frames), recipe, name="x")
    return [{name: x.numpy() for name, x in clip.items()} for clip in (graph(rgb), found)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip": CLIP.only("rgb")},
        {"clip": CLIP.only("flow"), "crops": 5},
        {"clip": CLIP.only("rgb"), "timing": CLIP},
        {"crops": 10, "flow_flip": "image_only"},
        {"short_side": None, "resize": (66, 88), "crops": 10},
        {"sampling": Sampling(policy="even"), "clip": dataclasses.replace(CLIP, segments=5)},
        {"clip": ClipSpec(segments=2, size=64, flow_length=3, flow_position="centre")},
        {
            "sampling": Sampling(policy="consecutive"),
            "clips": 2,
            "clip": ClipSpec(segments=1, frames_per_segment=4, size=64, flow_length=1),
        },
        {"flow": FlowSettings(engine="farneback", quantize="minmax")},
    ],
    ids=str,
)
def test_the_graph_makes_the_clip_of_the_file(frames, lossless, changes):
    recipe = dataclasses.replace(RECIPE, **changes)
    found, expected = both(frames, recipe)
    assert found.keys() == expected.keys() == set(recipe.clip.modalities)
    if "rgb" in found:
        np.testing.assert_array_equal(found["rgb"], expected["rgb"])
    if "flow" in found:
        assert found["flow"].shape == expected["flow"].shape
        assert np.std(expected["flow"]) > 1
        np.testing.assert_array_equal(found["flow"], expected["flow"])


def test_more_pairs_than_are_computed_at_once(frames, lossless):
    clip = ClipSpec(segments=1, frames_per_segment=10, size=64, modalities=("flow",), flow_length=2)
    recipe = dataclasses.replace(RECIPE, clip=clip)
    found, expected = both(frames, recipe)
    assert len(np.unique(recipe.pairs(recipe.frames(12), 12))) == 11 > AT_ONCE
    np.testing.assert_array_equal(found["flow"], expected["flow"])


@pytest.mark.filterwarnings("ignore:x has 2 frames, so few")
def test_a_short_video_repeats_its_end_if_the_test_does(frames, lossless):
    recipe = dataclasses.replace(RECIPE, pad=True)
    found, expected = both(frames[:2], recipe)
    np.testing.assert_array_equal(found["rgb"], expected["rgb"])
    np.testing.assert_array_equal(found["flow"][0, 0], found["flow"][0, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 3 frames for this model"):
        views_of(np.stack(frames[:2]), RECIPE)


def test_gray_is_that_of_a_jpg():
    colours = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    luminance, *_ = cv2.split(cv2.cvtColor(colours, cv2.COLOR_RGB2YCrCb))
    apart = np.abs(gray(colours).numpy().astype(int) - luminance)
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.99


@pytest.mark.parametrize("quantize", ["bound", "minmax"])
def test_codes_are_those_of_extraction(quantize):
    flow = np.random.default_rng(1).normal(3, 6, (4, 20, 30, 2)).astype(np.float32)
    flow[0] = 0  # no motion at all
    settings = FlowSettings(bound=8, quantize=quantize)
    expected = np.stack([encode_flow(one, bound=8, quantize=quantize) for one in flow])
    apart = np.abs(encode(flow, settings).numpy().astype(int) - expected)
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.999


def test_flow_that_no_graph_computes_is_named():
    recipe = dataclasses.replace(RECIPE, flow=FlowSettings(engine="dis"))
    assert lacks_graph(recipe).startswith("flow of engine 'dis' is not computed within a graph")
    assert lacks_graph(RECIPE) == ""
    assert lacks_graph(dataclasses.replace(recipe, clip=CLIP.only("rgb"))) == ""


def scores(clip, training):
    """In place of a network: what the mean of the flow, and the brightness, says."""
    values = [tf.reduce_mean(tf.cast(clip[name], tf.float32), [1, 2, 3, 4]) for name in clip]
    return tf.stack([values[0] / 20, 128 - values[-1]], axis=-1)


def test_agreement_counts_videos_flow_and_classes(video, tmp_path):
    (tmp_path / "broken.avi").write_text("no video")
    told = []
    paths = [video, tmp_path / "broken.avi", tmp_path / "nowhere.avi"]
    found = agreement(scores, RECIPE, paths, progress=lambda: told.append(1))
    assert (found.videos, found.same_class, len(told)) == (1, 1, 3)
    assert 0 < found.probability < 0.05  # JPG lies between
    assert 0 < found.flow["px"] < 0.2 < found.flow["of_px"]
    assert 0.9 < found.flow["codes"] <= 1
    assert "the same class in 1 of 1 videos" in str(found)
    assert f"flow within {found.flow['px']:.4f} px in the mean" in str(found)
    without = dataclasses.replace(RECIPE, clip=CLIP.only("rgb"))
    assert "flow" not in str(agreement(scores, without, [video]))
    assert agreement(scores, RECIPE, paths[1:]) is None


def test_of_long_videos_the_beginning_is_compared(video, lossless, monkeypatch):
    seen = []

    def scored(clip, training):
        seen.append(clip["rgb"])
        return scores(clip, training)

    monkeypatch.setattr(compared, "LONGEST", 7)
    assert agreement(scored, RECIPE, [video]).videos == 1
    frames = [png(frame) for frame in itertools.islice(read_frames(video), 7)]
    expected, _ = clip_of(frames, 7, RECIPE, name="x")
    np.testing.assert_array_equal(seen[0], expected["rgb"])
