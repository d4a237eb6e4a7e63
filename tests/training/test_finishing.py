"""A model behind finishing trains as the model itself does on finished clips."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.devices import arrays_of
from tests.training.conftest import make_model
from vidrec.training.finishing import with_finishing


@pytest.fixture
def batch():
    return drawn_batch()


def drawn_batch():
    rng = np.random.default_rng(3)
    return {
        "rgb": rng.integers(0, 256, (4, 1, 9, 10, 3), np.uint8),
        "sides": np.zeros((4, 2), np.int32),
        "draws": rng.random((4, 6), np.float32),
    }


def finish(batch):
    """Stands for the pipeline's: the corner, brighter by a draw."""
    images = tf.cast(batch["rgb"][:, 0, :8, :8], tf.float32)
    return {"rgb": tf.cast(images * batch["draws"][:, :1, None, None], tf.uint8)}


def clip_model():
    """The small model with a time axis, as models of clips have one."""
    keras.utils.set_random_seed(11)
    inner = make_model()
    clip = keras.Input((1, 8, 8, 3), dtype="uint8", name="rgb")
    return keras.Model({"rgb": clip}, inner({"rgb": clip[:, 0]}))


def finish_clip(batch):
    return {"rgb": finish(batch)["rgb"][:, None]}


def test_without_a_function_it_is_the_model(tiny):
    assert with_finishing(tiny, None) is tiny


def test_it_shares_all_weights_and_takes_any_size(batch):
    model = clip_model()
    whole = with_finishing(model, finish_clip)
    assert [w.path for w in whole.weights] == [w.path for w in model.weights]
    assert all(a is b for a, b in zip(whole.weights, model.weights, strict=True))
    expected = model(finish_clip(batch), training=False)
    np.testing.assert_array_equal(whole(batch, training=False), expected)
    larger = batch | {"rgb": np.pad(batch["rgb"], [(0, 0), (0, 0), (0, 5), (0, 3), (0, 0)])}
    np.testing.assert_array_equal(whole(larger, training=False), expected)


def test_a_step_is_that_of_the_model(batch):
    weights = []
    for finished in (True, False):
        model = clip_model()
        trainer = model if finished else with_finishing(model, finish_clip)
        trainer.compile(
            keras.optimizers.SGD(0.5),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        data = tf.data.Dataset.from_tensors((batch, np.array([0, 1, 2, 1], np.int32)))
        if finished:
            data = data.map(lambda x, y: (finish_clip(x), y))
        before = model.get_weights()
        trainer.fit(data, shuffle=False, verbose=0)
        weights.append(model.get_weights())
        assert any((a != b).any() for a, b in zip(before, weights[-1], strict=True))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_codes_stay_exact_under_mixed_precision(batch):
    """float16 has no room for the draws that scale 8-bit codes."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        whole = with_finishing(clip_model(), finish_clip)
        found = whole.get_layer("finish")({k: tf.constant(v) for k, v in batch.items()})
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(found["rgb"], finish_clip(batch)["rgb"])


STEP = """
import sys
import keras, numpy as np, tensorflow as tf
from tests.devices import logical_cpus
from tests.training.test_finishing import clip_model, drawn_batch, finish_clip
from vidrec.training.finishing import with_finishing
from vidrec.training.strategy import choose_strategy, synchronise_batch_norm

logical_cpus(int(sys.argv[1]))
strategy = choose_strategy()
with strategy.scope():
    model = clip_model()
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    synchronise_batch_norm(model)
    trainer = with_finishing(model, finish_clip)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(keras.optimizers.SGD(0.5), loss, jit_compile=False)
    data = tf.data.Dataset.from_tensors((drawn_batch(), np.array([0, 1, 2, 1], np.int32)))
    trainer.fit(data, shuffle=False, verbose=0)
np.savez(sys.argv[2], *model.get_weights(), replicas=strategy.num_replicas_in_sync)
"""


def test_a_step_on_two_devices_is_the_step_on_one(tmp_path):
    weights = [list(arrays_of(STEP, n, tmp_path / f"{n}.npz").values()) for n in (1, 2)]
    before = clip_model().get_weights()
    assert any((a != b).any() for a, b in zip(before, weights[0], strict=True))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
