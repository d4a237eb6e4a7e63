"""The deep fusion network's saved options, in mixed precision and on two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import PROJECT
from tests.devices import arrays_of
from tests.models.conftest import logits, random_clips
from tests.models.small_deep_fusion import CLIP, build
from vidrec.models.saved import load_model


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return build()


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


@pytest.mark.parametrize(
    "options",
    [
        {"tpn_mode": "global", "merge_mode": "sum", "time_aggregation": "last"},
        {"normalize_candidate": True, "normalize_cell": True, "epsilon": 0.01},
        {"layer_norm": False, "factorize_3dcnn": False, "flow_scale": 0.5},
        {"fusion_init": "identity_gaussian"},  # an initialiser of ours
    ],
)
def test_options_are_saved(options, clips, tmp_path):
    network = build(**options)
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(loaded, clips), logits(network, clips))


@pytest.mark.parametrize(
    ("policy", "compiled"),
    [
        ("mixed_bfloat16", False),
        # TensorFlow pools 3D maps of float16 on a GPU, or compiled, but not by itself on a CPU
        pytest.param("mixed_float16", True, marks=pytest.mark.slow),
    ],
    indirect=["policy"],
)
def test_mixed_precision(model, clips, policy, compiled):
    mixed = build()
    mixed.set_weights(model.get_weights())
    assert mixed.get_layer("fusion_conv3d").compute_dtype == policy.removeprefix("mixed_")
    norms = mixed.get_layer("bi_ln_lstm").forward_layer.cell.norms
    assert {norm.compute_dtype for norm in norms.values()} == {"float32"}

    @tf.function(jit_compile=compiled)
    def step(clips):
        with tf.GradientTape() as tape:
            out = mixed(clips, training=False)
            loss = tf.reduce_sum(out**2)
        return out, tape.gradient(loss, [weight.value for weight in mixed.trainable_weights])

    out, gradients = step({name: tf.constant(clip) for name, clip in clips.items()})
    assert out.dtype == tf.float32
    np.testing.assert_allclose(out, logits(model, clips), atol=0.02)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)


STEP = """
import sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, {project!r})
from tests.devices import logical_cpus
from tests.models.conftest import random_clips
from tests.models.small_deep_fusion import build
from vidrec.clip import ClipSpec
from vidrec.training.strategy import choose_strategy

CLIP = ClipSpec(segments=1, frames_per_segment=16, size=32, flow_length=2, flow_position="centre")
logical_cpus(int(sys.argv[1]))
strategy = choose_strategy()
with strategy.scope():
    keras.utils.set_random_seed(1)
    model = build(CLIP, tpn_dropout=0.0, lstm_dropout=0.0)
    before = model.get_weights()
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    data = tf.data.Dataset.from_tensor_slices((random_clips(CLIP, 4), [0, 3, 1, 4])).batch(4)
    model.fit(data, epochs=1, shuffle=False, verbose=0)
np.savez(sys.argv[2], replicas=strategy.num_replicas_in_sync,
         **{{str(i): new - old for i, (new, old) in enumerate(zip(model.get_weights(), before))}})
"""


@pytest.mark.slow
def test_one_step_on_two_devices_is_the_step_on_one(tmp_path):
    step = STEP.format(project=str(PROJECT))
    moves = [arrays_of(step, n, tmp_path / f"{n}.npz").values() for n in (1, 2)]
    for one, two in zip(*moves, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(two, one, atol=1e-3 * np.abs(one).max())
