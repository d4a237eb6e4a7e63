"""Several devices and several turns: two logical CPUs against one, in processes of their own."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.devices import arrays_of
from vidrec.training import strategy
from vidrec.training.strategy import check_parts, check_precision, choose_strategy, parts_of

STEP = """
import sys
import keras, numpy as np, tensorflow as tf
from tests.devices import logical_cpus
from tests.training.conftest import make_model
from vidrec.training import strategy
from vidrec.training.stages import build_optimizer, decay_weights
from vidrec.training.step import TrainingStep

devices = int(sys.argv[1])
logical_cpus(devices)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
images[8:16] //= 3  # halves differ, or their batch statistics would agree by chance
labels = rng.integers(0, 3, 48).astype(np.int32)
data = tf.data.Dataset.from_tensor_slices(({"rgb": images}, labels)).batch(16)
found = {}
for case in sys.argv[3:]:
    policy = "mixed_float16" if "float16" in case else "float32"
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    with strategy.choose_strategy().scope() as scope:
        model = make_model()
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
            if isinstance(layer, keras.layers.BatchNormalization) and "frozen" in case:
                layer.trainable = False
        if "apart" not in case:
            strategy.synchronise_batch_norm(model)
        decay_weights(model, 0.1)
        before = model.get_weights()
        # epsilon: with a small one, Adam makes as much of a gradient's rounding as of a gradient
        optimizer = keras.optimizers.AdamW(0.02, weight_decay=0.1, epsilon=0.01)
        if "sgd" in case:
            optimizer = keras.optimizers.SGD(0.2, momentum=0.9)
        if policy != "float32":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        build_optimizer(optimizer, model)
        turns = 2 if "turns" in case else 1
        parts = strategy.distribute(lambda epoch, step, shard: data, 0, 0, 16, turns)
        step = TrainingStep(
            model, optimizer, parts.element_spec, batch_size=16, accumulate=turns,
            clip_norm=0.05 if "clip" in case else None, compiled="compiled" in case,
        )
        parts = iter(parts)
        told = [step([next(parts) for _ in range(turns)], stop=n == 1) for n in range(3)]
        assert [stop for _, _, stop in told] == [False, True, False]
    for i, (old, new) in enumerate(zip(before, model.get_weights())):
        found[f"{case}/{i:02d}"] = new
        found[f"{case}/moved"] = max(found.get(f"{case}/moved", 0), np.abs(new - old).max())
    found[f"{case}/told"] = np.array(told, float)
np.savez(sys.argv[2], replicas=scope.num_replicas_in_sync if scope else 1, **found)
"""
CASES = ["adam", "sgd", "sgd clip", "sgd frozen", "sgd clip frozen", "sgd apart"]
CASES += ["sgd float16 clip frozen", "adam float16", "sgd float16"]
TURNS = ["adam frozen turns", "sgd clip frozen turns", "sgd float16 clip frozen turns"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Weights after three steps, by number of devices and case."""
    folder = tmp_path_factory.mktemp("steps")
    more = {1: ["sgd compiled", "adam frozen"], 2: []}
    return {n: arrays_of(STEP, n, folder / f"{n}.npz", *CASES, *TURNS, *more[n]) for n in (1, 2)}


def difference(one, a, two, b):
    """The largest difference of weights."""
    pairs = [(one[name], two[name.replace(a, b)]) for name in one
             if name.startswith(f"{a}/") and name[-2:].isdigit()]  # fmt: skip
    assert len(pairs) > 8
    return max(np.abs(x.astype(float) - y).max() for x, y in pairs)


@pytest.mark.parametrize("case", [*CASES, *TURNS])
def test_steps_on_two_devices_are_those_on_one(found, case):
    one, two = found[1], found[2]
    assert one[f"{case}/moved"] > 0.01
    apart = difference(one, case, two, case)
    if case == "sgd apart":  # what synchronised normalisation is for
        assert apart > 1e-2
        return
    assert apart < (2e-3 if "float16" in case else 1e-6)
    np.testing.assert_allclose(
        one[f"{case}/told"], two[f"{case}/told"], rtol=2e-3 if "float16" in case else 1e-6
    )


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("case", TURNS)
def test_turns_give_the_step_of_the_whole_batch(found, case, devices):
    apart = difference(found[devices], case, found[1], case.removesuffix(" turns"))
    assert apart < (2e-3 if "float16" in case else 1e-6)


def test_clipping_and_precision_count(found):
    """Cases differ where they should: none is quietly another."""
    one = found[1]
    assert difference(one, "sgd frozen", one, "sgd clip frozen") > 1e-2
    assert 0 < difference(one, "sgd clip frozen", one, "sgd float16 clip frozen") < 2e-3
    assert difference(one, "sgd", one, "sgd compiled") < 1e-5


def test_the_norm_is_clipped_once_for_all_devices(found):
    """A first step of SGD moves open weights by rate times norm; statistics do not count."""
    for devices in (1, 2):
        assert found[devices]["sgd clip frozen/moved"] < 3 * 3 * 0.2 * 0.05


def test_a_batch_divides_over_devices_and_turns():
    check_parts(12, 4, compiled=True)
    with pytest.raises(ValueError, match=r"1 devices times `accumulate`, 5\. .*batch_size=12"):
        check_parts(12, 5)
    assert parts_of(12) == "batch 12"
    assert parts_of(12, 4) == "batch 12 = 3 clips x 4 turns"


def test_gradients_that_a_cpu_gets_wrong_are_refused(monkeypatch):
    def network(layer, dtype):
        clips = keras.Input((4, 8, 8, 3), name="rgb")
        return keras.Model(clips, layer(2, 3, dtype=dtype, name="conv")(clips), name="net")

    devices = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    wrong = network(keras.layers.Conv3D, "mixed_bfloat16")
    with pytest.raises(ValueError, match=r"^net has 3D conv.*TF_ENABLE_ONEDNN_OPTS=0\. Rec"):
        check_precision(wrong)
    check_precision(network(keras.layers.Conv3D, "mixed_float16"))
    check_precision(network(keras.layers.Conv3D, "float32"))
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    check_precision(wrong)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    devices.append("GPU:0")
    check_precision(wrong)


@pytest.mark.parametrize(
    "text",
    ["{", '{"cluster": {}}', "[]", '{"cluster": {"worker": ["a:1", "b:1"]}}',
     '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
     '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps", "index": 0}}'],
)  # fmt: skip
def test_a_cluster_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG must be as in .*first\.host.*Received: ."):
        choose_strategy()


def test_a_cluster_of_one_is_no_cluster(monkeypatch):
    task = {"type": "worker", "index": 0}
    text = json.dumps({"cluster": {"worker": ["localhost:1"]}, "task": task})
    monkeypatch.setenv("TF_CONFIG", text)
    assert choose_strategy().num_replicas_in_sync == 1


def test_slurm_without_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(ValueError, match=r"--slurm takes the machines.*`srun`.*PROCID"):
        choose_strategy(slurm=True)


@pytest.mark.parametrize("rank", [0, 2])
def test_the_machines_of_a_step_of_slurm(rank, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", str(rank))
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[07-08]")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2,1")
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setattr(
        strategy, "_of_several_machines", lambda: json.loads(os.environ["TF_CONFIG"])
    )
    assert choose_strategy(slurm=True) == {
        "cluster": {"worker": ["node07:8888", "node07:8889", "node08:8888"]},
        "task": {"type": "worker", "index": rank},
    }
