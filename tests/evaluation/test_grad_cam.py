import keras
import numpy as np
import pytest
from keras import layers, ops

from vidrec.evaluation.grad_cam import grad_cam


@pytest.fixture
def model():
    """Two nested networks, called for each of three frames: what a class sees is known.

    The maps are the clip itself, x / 64: channel 0 is evidence for class 0, channel 1 for class 1
    and against class 0.
    """
    image = keras.Input((4, 6, 2))
    maps = layers.Rescaling(1 / 64, name="maps")(image)
    kernel = np.array([[2.0, 0.5], [-1.0, 3.0]])
    scores = layers.Dense(2, use_bias=False, name="scores")
    inner = keras.Model(image, scores(layers.GlobalAveragePooling2D()(maps)), name="inner")
    scores.set_weights([kernel])
    clips = keras.Input((3, 4, 6, 2), name="rgb")
    frames = [inner(clips[:, t]) for t in range(3)]
    outer = keras.Model({"rgb": clips}, layers.Average()(frames), name="outer")
    again = keras.Input((3, 4, 6, 2), name="rgb")
    return keras.Model({"rgb": again}, outer({"rgb": again}))


def test_by_hand(model):
    """Equations 1 and 2: weights are the gradients' means over the cells, 1 / 72 of the kernel."""
    clips = {"rgb": np.random.default_rng(0).integers(0, 256, (2, 3, 4, 6, 2), np.uint8)}
    found = grad_cam(model, clips, [0, 1], "maps")
    x = clips["rgb"] / 64
    expected = np.stack([2 * x[0, ..., 0] - x[0, ..., 1], 0.5 * x[1, ..., 0] + 3 * x[1, ..., 1]])
    np.testing.assert_allclose(found, np.maximum(expected, 0) / 72, rtol=1e-4, atol=1e-6)
    assert (found == 0).any()
    assert found.shape == (2, 3, 4, 6)


def test_the_layer_is_as_before(model):
    layer = next(x for x in model._flatten_layers() if x.name == "maps")
    clips = {"rgb": np.full((1, 3, 4, 6, 2), 9, np.uint8)}
    first, call = model(clips).numpy(), layer.call
    grad_cam(model, clips, [0], "maps")
    np.testing.assert_array_equal(model(clips).numpy(), first)
    assert layer.call == call


def test_maps_over_time():
    """One layer gives all time steps, or folds them into the batch."""
    clips = keras.Input((4, 6, 6, 1), name="flow")
    maps = layers.Conv3D(3, (2, 1, 1), strides=(2, 1, 1), name="over_time")(clips)
    folded = layers.Lambda(lambda x: ops.reshape(x, (-1, 6, 6, 3)), name="folded")(maps)
    pooled = layers.Lambda(lambda x: ops.reshape(x, (-1, 2 * 108)))(folded)
    model = keras.Model({"flow": clips}, layers.Dense(2)(pooled))
    data = {"flow": np.random.default_rng(1).integers(0, 256, (3, 4, 6, 6, 1), np.uint8)}
    over_time = grad_cam(model, data, [0, 1, 1], "over_time")
    assert over_time.shape == (3, 2, 6, 6)
    np.testing.assert_allclose(over_time, grad_cam(model, data, [0, 1, 1], "folded"), rtol=1e-5)
    assert over_time.max() > 0


def test_a_class_that_the_maps_do_not_reach():
    clips = keras.Input((2, 5, 5, 1), name="rgb")
    maps = layers.Conv3D(2, 1, name="maps")(clips)
    pooled = layers.GlobalAveragePooling3D()(clips * 0.0) + 0 * layers.GlobalAveragePooling3D()(
        maps
    )
    model = keras.Model({"rgb": clips}, layers.Dense(2)(pooled[:, :1]))
    found = grad_cam(model, {"rgb": np.ones((1, 2, 5, 5, 1), np.uint8)}, [1], "maps")
    np.testing.assert_array_equal(found, np.zeros((1, 2, 5, 5)))


def test_no_such_layer(model):
    clips = {"rgb": np.ones((1, 3, 4, 6, 2), np.uint8)}
    with pytest.raises(ValueError, match="`layer` must be one of .* Received: layer='map'"):
        grad_cam(model, clips, [0], "map")
    with pytest.raises(ValueError, match=r"Layer scores must give maps. Received: .*\(1, 2\)"):
        grad_cam(model, clips, [0], "scores")
