"""VCM-SDD is saved, loaded, exported and trained; on several devices as well."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.devices import arrays_of
from tests.models.conftest import logits, random_clips
from tests.models.small_vcm_sdd import CLASSES, CLIP, build, liven, segments
from vidrec.export import savedmodel
from vidrec.models import vcm_sdd
from vidrec.models.saved import load_model
from vidrec.models.weight_files import load_weights


@pytest.fixture(scope="module")
def clips():
    """Four videos of two segments each."""
    return random_clips(dataclasses.replace(CLIP, segments=2), videos=4)


@pytest.fixture(scope="module")
def model(clips):
    keras.utils.set_random_seed(5)
    model = build()
    liven(model, clips)
    return model


def test_its_attention_is_saved(model, clips, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    look, again = (vcm_sdd.attention_model(m)(clips) for m in (model, loaded))
    for name, found in look.items():
        np.testing.assert_array_equal(again[name], found)


@pytest.mark.parametrize(
    "options",
    [
        {"stride_in_3x3": False, "attn_scale": "sqrt_dim", "fuse": "probs", "shared_head": True},
        {"neighbourhood": "euclidean", "radius": 1, "share_geometry": True, "geom_eps": 0.1,
         "stc_residual": True, "mff_projections": True},
        {"mff_residual": True, "literal_eq12": True, "num_heads": 2, "self_loops": False},
    ],
    ids=["head", "place", "modalities"],
)  # fmt: skip
def test_options_are_saved(options, clips, tmp_path):
    model = build(**options)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(loaded, clips), logits(model, clips))


def test_weights_go_through_a_file_whatever_the_segments(model, clips, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    tested = build(dataclasses.replace(CLIP, segments=16))
    assert np.abs(logits(tested, clips) - logits(model, clips)).max() > 1e-3
    load_weights(tested, tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(logits(tested, clips), logits(model, clips))


def test_exported_with_any_number_of_segments(model, clips, tmp_path):
    classes = [f"class {n}" for n in range(CLASSES)]
    folder = tmp_path / "model"
    facts = {"clip": dataclasses.asdict(CLIP)}
    assert savedmodel.export_savedmodel(model, folder, classes=classes, facts=facts) < 1e-5
    for given in (segments(clips, [1]), clips, segments(clips, [0, 1, 0])):
        assert savedmodel.parity(model, folder, given) < 1e-5
    loaded = tf.saved_model.load(str(folder))
    served = loaded.signatures["serving_default"]
    seven = {name: tf.constant(clip[:3, :7]) for name, clip in clips.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match="segments_of_6"):
        served(**seven)
    uneven = {"rgb": tf.constant(clips["rgb"]), "flow": tf.constant(clips["flow"][:1])}
    with pytest.raises(tf.errors.InvalidArgumentError, match="flow_must_be_of_as_many_videos"):
        served(**uneven)


@pytest.mark.parametrize(
    "options",
    [{}, {"mff_projections": True, "attn_scale": "sqrt_dim", "fuse": "probs"}],
    ids=["default", "options"],
)
def test_gradients_reach_every_trainable_tensor(options, clips):
    keras.utils.set_random_seed(6)
    model = build(**options)
    liven(model, clips)
    one = segments(clips, [0])
    with tf.GradientTape() as tape:
        out = model(one, training=True)
        loss = keras.losses.sparse_categorical_crossentropy(np.arange(4), out, from_logits=True)
    gradients = tape.gradient(loss, model.trainable_weights)
    size = {}
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        name = f"{len(size)} {weight.path}"  # paths are the same in both backbones
        size[name] = 0 if gradient is None else float(np.abs(gradient).max())
    assert len(size) == 2 * (17 * 3 + 2 + 2) + 8 * ("mff_projections" in options)
    assert all(np.isfinite(value) for value in size.values())
    assert not {name: value for name, value in size.items() if value < 1e-7}


def test_a_step_moves_the_geometry(clips):
    keras.utils.set_random_seed(7)
    model = build()
    before = {name: model.get_layer(f"{name}_stc").get_weights() for name in ("rgb", "flow")}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.008, epsilon=1e-8), loss, run_eagerly=True)
    model.fit(segments(clips, [1]), np.arange(4), batch_size=4, verbose=0)
    for name, weights in before.items():
        pairs = zip(weights, model.get_layer(f"{name}_stc").get_weights(), strict=True)
        assert all(np.abs(old - new).max() > 1e-3 for old, new in pairs)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_a_step_in_mixed_precision(clips, policy):
    """Keras scales the loss and leaves out a step that overflows: this one must be taken."""
    keras.utils.set_random_seed(7)
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=False)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = [np.array(weight) for weight in model.trainable_weights]
    history = model.fit(segments(clips, [1]), np.arange(4), batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert weight.dtype == "float32"
        assert np.isfinite(weight).all()
        assert np.abs(weight - old).max() > 0, weight.path


STEP = """
import sys
import keras, numpy as np, tensorflow as tf
from tests.devices import logical_cpus
from tests.models.conftest import random_clips
from tests.models.small_vcm_sdd import CLIP, build
from vidrec.training.strategy import choose_strategy, synchronise_batch_norm

logical_cpus(int(sys.argv[1]))
strategy = choose_strategy()
with strategy.scope():
    keras.utils.set_random_seed(1)
    model = build()
    synchronise_batch_norm(model)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    clips = random_clips(CLIP, videos=4)
    data = tf.data.Dataset.from_tensor_slices((clips, [0, 1, 2, 3])).batch(4)
    model.fit(data, verbose=0)
steps = [np.abs(w - old).max() for w, old in zip(model.trainable_weights, before, strict=True)]
np.savez(sys.argv[2], replicas=strategy.num_replicas_in_sync, steps=steps,
         **{str(i): w for i, w in enumerate(model.get_weights())})
"""


@pytest.mark.slow
def test_one_step_on_two_devices_is_the_step_on_one(tmp_path):
    both = [arrays_of(STEP, n, tmp_path / f"{n}.npz") for n in (1, 2)]
    for found in both:
        steps = found.pop("steps")
        assert steps.min() > 0
        assert steps.max() > 1e-3
    one, two = (found.values() for found in both)
    difference = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
    assert difference < 1e-5


@pytest.mark.slow
def test_the_whole_network_runs():
    """One segment at full size, on the CPU: some 100 GMAC."""
    clip = random_clips(dataclasses.replace(vcm_sdd.DEFAULT_CLIP), videos=1)
    keras.utils.set_random_seed(8)
    model = vcm_sdd.build(400)
    found = vcm_sdd.attention_model(model)(clip, training=False)
    assert found["logits"].shape == (1, 400)
    assert np.isfinite(found["logits"]).all()
    assert found["rgb_mff"].shape == (1, 8, 294, 294)
    np.testing.assert_allclose(np.asarray(found["flow_mff"]).sum(axis=-1), 1, atol=1e-5)
