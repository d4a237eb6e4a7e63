"""A clip that is read from a video is the one that extraction and the pipeline make of it."""

import itertools

import cv2
import numpy as np
import pandas as pd
import pytest

from vidrec.clip import ClipSpec
from vidrec.export import video_clip
from vidrec.export.recipe import ClipRecipe
from vidrec.export.video_clip import read_clip
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.video import VideoError, read_frames
from vidrec.pipeline.dataset import evaluation_clips
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

CLIP = ClipSpec(segments=5, size=64, flow_length=2)
FLOW = FlowSettings(engine="farneback")
INTERVALS = Sampling(policy="intervals")


@pytest.fixture(scope="module")
def stored(video, tmp_path_factory):
    """(Store, its index) with frames and flow of the video."""
    store = Store(tmp_path_factory.mktemp("store"))
    table = pd.DataFrame([{"video_id": "one/v", "label": "one", "group": "", "path": str(video)}])
    extract_frames(table, store, workers=0)
    return store, extract_flow(store, FLOW, workers=0)


@pytest.mark.parametrize(
    ("clip", "timing", "frames"),
    [
        (CLIP, None, [1, 3, 5, 7, 9]),  # 10 places for two pairs
        (CLIP.only("rgb"), None, [1, 3, 6, 8, 10]),
        (CLIP.only("rgb"), CLIP, [1, 3, 5, 7, 9]),  # the moments that the flow stream sees
        (CLIP.only("flow"), CLIP, [1, 3, 5, 7, 9]),
    ],
)
@pytest.mark.parametrize("scale", [{"short_side": 70}, {"resize": (66, 88)}])
def test_a_clip_equals_extraction_and_pipeline(video, stored, clip, timing, frames, scale):
    store, index = stored
    source = ClipSource(
        store=store, table=index, classes=["one"], clip=clip, sampling=INTERVALS, timing=timing
    )
    to = {"short_side": scale.get("short_side"), "to": scale.get("resize")}
    expected, _, facts = next(iter(evaluation_clips(source, batch_size=1, **to)))
    recipe = ClipRecipe(clip=clip, sampling=INTERVALS, timing=timing, flow=FLOW, **scale)
    found, (chosen,) = read_clip(video, recipe)
    assert chosen.tolist() == facts["frames"][0].numpy().tolist() == frames
    assert found.keys() == set(clip.modalities) == expected.keys()
    for name, images in found.items():
        assert images.shape == (1, *clip.shape(name))
        np.testing.assert_array_equal(images, expected[name])


@pytest.mark.parametrize(
    ("views", "flow_flip"), [(5, "negate"), (10, "negate"), (10, "image_only")]
)
def test_views_are_those_of_the_test(video, stored, views, flow_flip):
    store, index = stored
    source = ClipSource(store=store, table=index, classes=["one"], clip=CLIP, sampling=INTERVALS)
    options = {"views": views, "flow_flip": flow_flip, "short_side": 70}
    expected, *_ = next(iter(evaluation_clips(source, batch_size=1, **options)))
    options["crops"] = options.pop("views")
    found, _ = read_clip(video, ClipRecipe(clip=CLIP, sampling=INTERVALS, flow=FLOW, **options))
    for name, images in found.items():
        assert images.shape == (views, *CLIP.shape(name))
        np.testing.assert_array_equal(images, expected[name][0])


def test_a_folder_of_images_is_read_as_the_video_of_them(video, tmp_path):
    for i, frame in enumerate(read_frames(video), 1):
        assert cv2.imwrite(str(tmp_path / f"{i}.png"), frame)
    recipe = ClipRecipe(clip=CLIP.only("rgb"), sampling=INTERVALS)
    clip, _ = read_clip(tmp_path, recipe)
    np.testing.assert_array_equal(clip["rgb"], read_clip(video, recipe)[0]["rgb"])


def test_a_short_video_is_refused_or_repeats_its_end(video, tmp_path):
    for i, frame in enumerate(list(read_frames(video))[:2], 1):
        assert cv2.imwrite(str(tmp_path / f"{i}.png"), frame)
    options = {"clip": CLIP, "sampling": INTERVALS, "flow": FLOW}
    with pytest.raises(VideoError, match=r"has 2 frames; this model needs at least 3\."):
        read_clip(tmp_path, ClipRecipe(**options))
    with pytest.raises(VideoError, match="needs at least 3"):  # of both streams
        read_clip(tmp_path, ClipRecipe(clip=CLIP.only("rgb"), sampling=INTERVALS, timing=CLIP))
    with pytest.warns(UserWarning, match="has 2 frames, so few that a clip of 5 takes some"):
        clip, (chosen,) = read_clip(tmp_path, ClipRecipe(**options, pad=True))
    assert chosen.tolist() == [0] * 5
    pairs = clip["flow"].numpy()[0]
    assert pairs.std() > 0  # the only pair, again and again
    np.testing.assert_array_equal(pairs[..., :2], pairs[..., 2:])
    np.testing.assert_array_equal(pairs[:1].repeat(5, axis=0), pairs)


def test_clips_along_the_video(video, stored):
    """As the protocol of dense clips has them."""
    store, index = stored
    clip = ClipSpec(segments=1, frames_per_segment=4, size=64, flow_length=2)
    options = {"clip": clip, "sampling": Sampling(policy="consecutive")}
    source = ClipSource(store=store, table=index, classes=["one"], clips=3, **options)
    expected, *_ = next(iter(evaluation_clips(source, batch_size=1, views=5, short_side=70)))
    recipe = ClipRecipe(**options, flow=FLOW, clips=3, crops=5, short_side=70)
    found, chosen = read_clip(video, recipe)
    assert chosen[:, 0].tolist() == [0, 4, 8]
    for name, images in found.items():
        assert images.shape == (15, *clip.shape(name))
        np.testing.assert_array_equal(images, expected[name][0])


def test_a_video_that_changes_while_it_is_read(video, monkeypatch):
    lengths = iter([12, 6])
    monkeypatch.setattr(
        video_clip, "read_frames", lambda path: itertools.islice(read_frames(path), next(lengths))
    )
    with pytest.raises(VideoError, match="has another number of frames each time. Is it still"):
        read_clip(video, ClipRecipe(clip=CLIP, flow=FLOW))
