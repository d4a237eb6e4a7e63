"""The baselines loaded without vidrec, as all their layers are of Keras, in mixed precision and on
two devices."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.devices import arrays_of
from tests.models.conftest import logits, random_clips
from tests.models.small_conv3d import CLIP, build

THREE = [("c3d", "resnet21"), ("r2plus1d", "resnet21"), ("r3d", "vgg13")]  # all kinds of layers


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


def test_saved_and_loaded_in_safe_mode_in_a_new_process_without_vidrec(clips, tmp_path):
    keras.utils.set_random_seed(3)
    models = {"_".join(which): build(*which) for which in THREE}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "clips.npz", **clips)
    code = (
        "import sys, keras, numpy as np\n"
        f"clips = dict(np.load(r'{tmp_path}/clips.npz'))\n"
        f"for name in {list(models)}:\n"
        f"    path = r'{tmp_path}/' + name\n"
        "    model = keras.saving.load_model(path + '.keras', safe_mode=True)\n"
        "    np.save(path + '.npy', model(clips, training=False))\n"
        "print(any(name.startswith('vidrec') for name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "False\n"
    for name, model in models.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), logits(model, clips))


# Compiled: by itself, TensorFlow does not pool 3D maps of float16 on a CPU, and its gradients of 3D
# convolutions in bfloat16 are wrong there, see `vidrec.training.strategy.check_precision`.
@pytest.mark.parametrize("which", THREE)
@pytest.mark.parametrize(
    "policy",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)],
    indirect=True,
)
def test_mixed_precision(which, clips, policy):
    keras.utils.set_random_seed(4)
    mixed = build(*which)

    @tf.function(jit_compile=True)
    def step(clips):
        with tf.GradientTape() as tape:
            out = mixed(clips, training=True)
            loss = tf.reduce_sum(out**2)
        return out, tape.gradient(loss, [weight.value for weight in mixed.trainable_weights])

    out, gradients = step({"rgb": tf.constant(clips["rgb"])})
    assert out.dtype == tf.float32
    assert np.isfinite(out).all()
    assert all(np.isfinite(g).all() for g in gradients)
    assert np.median([np.abs(g).max() for g in gradients]) > 0


STEP = """
import dataclasses, sys
import keras, numpy as np, tensorflow as tf
from tests.devices import logical_cpus
from tests.models.conftest import adapt
from tests.models.conftest import random_clips
from tests.models.small_conv3d import CLIP, build
from vidrec.training.strategy import choose_strategy, synchronise_batch_norm

logical_cpus(int(sys.argv[1]))
strategy = choose_strategy()
clip = dataclasses.replace(CLIP, size=32)
data = tf.data.Dataset.from_tensor_slices((random_clips(clip, 4), [0, 3, 1, 4])).batch(4)
found = {}
with strategy.scope():
    for which in (("c3d", "resnet21"), ("r3d", "resnet21")):
        keras.utils.set_random_seed(1)
        model = build(*which, clip=clip, dropout=0.0)
        synchronise_batch_norm(model)
        before = model.get_weights()
        model.compile(
            keras.optimizers.SGD(0.001),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        model.fit(data, epochs=1, shuffle=False, verbose=0)
        for i, (new, old) in enumerate(zip(model.get_weights(), before)):
            found[f"{model.name}_{i}"] = new - old
np.savez(sys.argv[2], replicas=strategy.num_replicas_in_sync, **found)
"""


@pytest.mark.slow
def test_one_step_on_two_devices_is_the_step_on_one(tmp_path):
    one, two = (arrays_of(STEP, n, tmp_path / f"{n}.npz") for n in (1, 2))
    assert len(one) > 100
    for name, alone in one.items():
        np.testing.assert_allclose(two[name], alone, atol=1e-5 + 5e-3 * np.abs(alone).max())
