"""Clips that are finished on the device are those that the pipeline finishes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.pipeline.test_decoding import texture
from vidrec.clip import ClipSpec
from vidrec.pipeline import finishing
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.dataset import training_clips
from vidrec.pipeline.source import ClipSource
from vidrec.store import Row, Store

CLIP = ClipSpec(segments=2, frames_per_segment=2, size=24, flow_length=3)
RUN = {"batch_size": 3, "seed": 4, "epochs": 3}
CHANGES = {
    "paper": {},
    "corners": {"crop": "corners"},
    "centre": {"crop": "centre", "contrast": 0.4},
    "literal": {"flow_flip": "image_only", "brightness": 0},
    "still": {"flip_lr": 0, "flip_ud": 0, "brightness": 0, "contrast": 0.9},
}


@pytest.fixture(scope="module")
def textured(tmp_path_factory, jpg):
    """Four videos of noise, in two sizes."""
    store = Store(tmp_path_factory.mktemp("textured"))
    for number in range(4):
        video_id = f"noise/{number}"
        for i in range(8):
            rows, columns = ((40, 56), (31, 29))[number % 2]
            jpg(store.path("frame", video_id, i + 1), texture(10 * number + i)[:rows, :columns])
            if i < 7:
                for k, kind in enumerate(("flow_x", "flow_y")):
                    image = texture(100 + 20 * number + 2 * i + k)[:rows, :columns, 0]
                    jpg(store.path(kind, video_id, i + 1), np.ascontiguousarray(image))
        store.append(Row(video_id=video_id, label="noise", n_frames=8, n_flow=7))
    return store


def source_of(store, clip=CLIP):
    return ClipSource(store=store, table=store.index(), classes=("noise",), clip=clip)


@pytest.mark.parametrize("modalities", [("rgb",), ("flow",), ("rgb", "flow")])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_clips_are_those_of_the_pipeline(textured, change, modalities):
    clip = ClipSpec(**{**vars(CLIP), "modalities": modalities})
    source, options = source_of(textured, clip), Augmentation(**change)
    finish = tf.function(lambda batch: finishing.finish(batch, clip.size, options))
    wanted = training_clips(source, options=options, **RUN)
    handed = training_clips(source, options=options, finished=False, **RUN)
    sizes = set()
    for (clips, labels), (batch, others) in zip(wanted, handed, strict=True):
        sizes |= {tuple(sides) for sides in batch["sides"].numpy().tolist()}
        np.testing.assert_array_equal(labels, others)
        found = finish(batch)
        assert found.keys() == clips.keys() == set(modalities)
        for name in clips:
            assert found[name].dtype == tf.uint8
            assert found[name].shape == (3, *clip.shape(name))
            difference = np.abs(np.subtract(found[name], clips[name], dtype=int))
            assert difference.max() <= (2 if name == "rgb" and options.contrast else 1)
            assert (difference > 0).mean() < 0.02
            assert clips[name].numpy().std() > 15  # there was something to compare
    assert len(sizes) >= (2 if change.get("crop") == "centre" else 4)


def test_what_is_finished_passes():
    clips = {"rgb": tf.zeros([1, 2, 24, 24, 3], tf.uint8)}
    assert finishing.finish(clips, 24, Augmentation()) is clips


@pytest.mark.parametrize(
    ("option", "value"),
    [("scope", "segment"), ("resize", (30, 40)), ("saturation", 0.1), ("hue", 0.1)],
)
def test_what_only_the_pipeline_can_do_is_refused(textured, option, value):
    options = Augmentation(**{option: value})
    with pytest.raises(ValueError, match=rf"must have {option}=.*Received: {option}="):
        training_clips(source_of(textured), options=options, finished=False, **RUN)
