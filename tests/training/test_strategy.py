"""Several devices: two logical CPUs against one, in processes of their own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import PROJECT
from tests.devices import arrays_of
from vidrec.training.strategy import check_batch_size

STEP = """
import sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, {tests!r})
from tests.devices import logical_cpus
from tests.training.conftest import make_model
from vidrec.training.stages import decay_weights
from vidrec.training.strategy import choose_strategy, synchronise_batch_norm

logical_cpus(int(sys.argv[1]))
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
images[4:] //= 3  # the halves differ, or their batch statistics would agree by chance
labels = rng.integers(0, 3, 8)
strategy = choose_strategy()
with strategy.scope():
    keras.utils.set_random_seed(1)
    model = make_model()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    if sys.argv[3] == "synchronised":
        synchronise_batch_norm(model)
    decay_weights(model, 0.1)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    data = tf.data.Dataset.from_tensor_slices(({{"rgb": images}}, labels)).batch(8)
    model.fit(data, epochs=1, shuffle=False, verbose=0)
np.savez(sys.argv[2], replicas=strategy.num_replicas_in_sync,
         **{{str(i): w for i, w in enumerate(model.get_weights())}})
"""


def test_one_step_on_two_devices_is_the_step_on_one(tmp_path):
    def weights(devices, how):
        code = STEP.format(tests=str(PROJECT))
        return arrays_of(code, devices, tmp_path / f"{devices}{how}.npz", how).values()

    def difference(a, b):
        return max(np.abs(x.astype(float) - y).max() for x, y in zip(a, b, strict=True))

    one = weights(1, "synchronised")
    assert difference(one, weights(2, "synchronised")) < 1e-5
    assert difference(one, weights(2, "apart")) > 1e-3  # what the function is there for


def test_a_batch_must_divide_over_the_devices(monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    check_batch_size(8)
    monkeypatch.setattr(tf.distribute, "get_strategy", Three)
    check_batch_size(9)
    with pytest.raises(ValueError, match="multiple of the 3 devices. Received: batch_size=8"):
        check_batch_size(8)
