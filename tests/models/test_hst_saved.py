"""HST's saved options, served, in mixed precision and on two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.devices import arrays_of
from tests.models.conftest import adapt, logits, random_clips
from tests.models.small_hst import CLASSES, CLIP, build, widen
from vidrec.export.savedmodel import export_savedmodel
from vidrec.models.saved import load_model


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


@pytest.fixture(scope="module")
def model(clips):
    keras.utils.set_random_seed(3)
    model = widen(build())
    adapt(model, clips)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"literal": True, "share_window_weights": True, "hierarchy": "output", "hard_mask": True},
        {"order": "t_inside", "share_fc": True, "svn_noise_std": 0.5, "svn_norm": "frobenius"},
        {"attention_placement": "every_block", "backbone": "vgg13", "leaky_slope": 0.3},
    ],
)
def test_options_are_saved(options, clips, tmp_path):
    network = build(**options)
    network.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(loaded, clips), logits(network, clips))
    own = [layer for layer in network.layers if type(layer).__module__.startswith("vidrec")]
    assert [loaded.get_layer(layer.name).get_config() for layer in own] == [
        layer.get_config() for layer in own
    ]


def test_clips_of_other_videos_are_refused_where_it_is_served(model, clips, tmp_path):
    classes = [f"class {n}" for n in range(CLASSES)]
    export_savedmodel(model, tmp_path / "served", classes=classes, facts={})
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    mixed = {"rgb": clips["rgb"], "flow": clips["flow"][:1]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
        loaded.signatures["serving_default"](**{k: tf.constant(v) for k, v in mixed.items()})


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
    assert mixed.get_layer("stage1_block1_hres").compute_dtype == policy.removeprefix("mixed_")
    assert build(window_merge="sum").get_layer("merge_sum").compute_dtype == "float32"
    for name in ("merge_windows", "spatial_attention", "hybrid_attention"):
        layer = mixed.get_layer(name)
        assert layer.compute_dtype == "float32"
        assert {dense.compute_dtype for dense in layer._flatten_layers()} == {"float32"}

    @tf.function(jit_compile=compiled)
    def step(clips):
        with tf.GradientTape() as tape:
            out = mixed(clips, training=False)
            loss = tf.reduce_sum(out**2)
        return out, tape.gradient(loss, [weight.value for weight in mixed.trainable_weights])

    out, gradients = step({name: tf.constant(clip) for name, clip in clips.items()})
    assert out.dtype == tf.float32
    wanted = logits(model, clips)
    np.testing.assert_allclose(out, wanted, atol=0.1 * np.abs(wanted).max())
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)


STEP = """
import dataclasses, sys
import keras, numpy as np, tensorflow as tf
from tests.devices import logical_cpus
from tests.models.conftest import random_clips
from tests.models.small_hst import CLIP, build
from vidrec.training.strategy import choose_strategy, synchronise_batch_norm

logical_cpus(int(sys.argv[1]))
strategy = choose_strategy()
with strategy.scope():
    keras.utils.set_random_seed(1)
    clip = dataclasses.replace(CLIP, size=32)
    model = build(clip)
    synchronise_batch_norm(model)
    before = model.get_weights()
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    data = tf.data.Dataset.from_tensor_slices((random_clips(clip, 4), [0, 3, 1, 4])).batch(4)
    model.fit(data, epochs=1, shuffle=False, verbose=0)
np.savez(sys.argv[2], replicas=strategy.num_replicas_in_sync,
         **{str(i): new - old for i, (new, old) in enumerate(zip(model.get_weights(), before))})
"""


@pytest.mark.slow
def test_one_step_on_two_devices_is_the_step_on_one(tmp_path):
    one, two = (arrays_of(STEP, n, tmp_path / f"{n}.npz").values() for n in (1, 2))
    assert max(np.abs(move).max() for move in one) > 1e-3
    for alone, shared in zip(one, two, strict=True):
        np.testing.assert_allclose(shared, alone, atol=1e-4 + 1e-3 * np.abs(alone).max())
