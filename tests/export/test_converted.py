"""What is said of a converted model: numbers that are known, and clips that do not fit."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from vidrec.export.converted import (
    TOLERANCE,
    Converted,
    check_difference,
    check_precision,
    clips_of,
    compare,
)


@pytest.fixture
def model():
    """The largest of each channel, T open: logits that the clips themselves show."""
    rgb = keras.Input((None, 2, 2, 3), dtype="uint8", name="rgb")
    return keras.Model({"rgb": rgb}, ops.cast(ops.max(rgb, axis=(1, 2, 3)), "float32"))


def clip_with(*channels):
    clip = np.zeros((4, 2, 2, 3), np.uint8)
    clip[1, 0, 1] = channels
    return clip


def test_difference_and_classes(model):
    clips = {"rgb": np.stack([clip_with(10, 50, 30), clip_with(20, 10, 0), clip_with(0, 0, 9)])}
    shifts = iter([[0.0, 0, 1], [-15, 0, 0], [0, 0, 0]])

    def run(clip):
        assert clip["rgb"].shape == (1, 4, 2, 2, 3)
        return clip["rgb"].max(axis=(1, 2, 3)) + np.array([next(shifts)], np.float32)

    found = compare(model, run, clips, size=1_500_000)
    assert found == Converted(1_500_000, 3, pytest.approx(15 / 50), pytest.approx(2 / 3))
    assert str(found) == (
        "1.5 MB, logits within 3.0e-01 of the Keras model's and the same class for 67% of 3 clips"
    )


def test_small_logits_are_not_enlarged(model):
    found = compare(
        model, lambda clip: np.float32([[0, 0.25, 0]]), {"rgb": clip_with(0, 0, 0)[None]}, size=1
    )
    assert found.difference == 0.25


@pytest.mark.parametrize("difference", [1.01 * TOLERANCE, float("nan")])
def test_what_differs_is_refused(difference):
    check_difference(Converted(1, 1, 0.99 * TOLERANCE, 1.0), "x.tflite", "LiteRT")
    with pytest.raises(RuntimeError, match=r"In LiteRT .* by .* more than 1e-03.* to x.tflite"):
        check_difference(Converted(1, 1, difference, 1.0), "x.tflite", "LiteRT")


def test_clips_that_the_model_takes(model):
    clip = clip_with(1, 2, 3)[None]
    assert list(clips_of(model, {"flow": np.zeros(3), "rgb": clip})) == ["rgb"]
    for wrong in (
        {},
        {"flow": clip},
        {"rgb": clip.astype(np.float32)},
        {"rgb": clip[0]},
        {"rgb": clip[:0]},
        {"rgb": clip[..., :2]},
    ):
        with pytest.raises(ValueError, match=r"`clips` must be uint8 of shapes .*'rgb': \(None, N"):
            clips_of(model, wrong)


def test_as_many_clips_of_each_modality():
    inputs = {name: keras.Input((1, 2, 2, 3), dtype="uint8", name=name) for name in ("rgb", "flow")}
    model = keras.Model(inputs, ops.cast(inputs["rgb"] + inputs["flow"], "float32"))
    clip = np.zeros((3, 1, 2, 2, 3), np.uint8)
    assert clips_of(model, {"rgb": clip, "flow": clip}).keys() == {"rgb", "flow"}
    with pytest.raises(ValueError, match=r"as many of each. Received: .*'uint8', \(2, 1, 2, 2, 3"):
        clips_of(model, {"rgb": clip, "flow": clip[:2]})


def test_sixteen_bits_are_refused():
    inputs = keras.Input((4,))
    check_precision(keras.Model(inputs, layers.Dense(2)(inputs)))
    low = keras.Model(inputs, layers.Dense(2, dtype="mixed_bfloat16")(inputs))
    with pytest.raises(ValueError, match=r"in float32. Received: layers of \['bfloat16'\]. Build"):
        check_precision(low)
