"""A run that is killed at any moment leaves a whole checkpoint and ends as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.training.conftest import make_model
from tests.training.small_run import EPOCHS, STEPS, state_of, train
from vidrec.training.checkpoints import VARIABLES, Progress, last_checkpoint, save_checkpoint


def run(folder, kill_after=0):
    command = [sys.executable, "-m", "tests.training.small_run", str(folder), str(kill_after)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    keras.utils.set_random_seed(11)
    train(make_model(), folder)
    return folder


def kill_and_go_on(folder, kills):
    """Each process is killed after so many steps of its own; the last one comes to the end."""
    for steps in kills:
        assert run(folder, steps).returncode == -signal.SIGKILL
    done = run(folder)
    assert done.returncode == 0, done.stderr


def test_a_run_that_is_killed_ends_as_the_uninterrupted_one(whole_run, tmp_path):
    kill_and_go_on(tmp_path, [6, 7])
    assert state_of(tmp_path) == state_of(whole_run)


@pytest.mark.slow
def test_after_any_number_of_steps(whole_run, tmp_path):
    """Killed in each of its steps, the first of an epoch and the last among them: a step is lost
    each time, so that every process takes one more than the one before had kept."""
    kill_and_go_on(tmp_path, [2] * (EPOCHS * STEPS - 1))
    assert state_of(tmp_path) == state_of(whole_run)


SAVE = """
import sys
import numpy as np
from vidrec.training.checkpoints import Progress, last_checkpoint, save_checkpoint

class Variable:
    path = "a"
    def __init__(self, value):
        self.value = value
    def __array__(self, dtype=None, copy=None):
        return self.value

saved = last_checkpoint(sys.argv[1])
step = saved[1].step if saved else 0
print("ready", flush=True)
while True:
    step += 1
    variables = [Variable(np.full(50_000, step, np.float32)) for _ in range(4)]
    save_checkpoint(sys.argv[1], {"model": variables}, Progress(0, 0, step), keep=1 + step % 3)
"""


def test_kill_while_saving(tmp_path):
    """50 times: what is there is whole, and never older than what was there before."""
    rng, before = random.Random(3), 0
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(rng.uniform(0.001, 0.08))
        process.kill()
        process.wait()
        process.stdout.close()
        found = last_checkpoint(tmp_path)
        step = found[1].step if found else 0
        assert step >= before
        before = step
        whole = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
        for path in whole:  # a name that is there holds the step that it names
            with np.load(path / VARIABLES) as file:
                assert len(file.files) == 4
                for name in file.files:
                    assert np.array_equal(file[name], np.full(50_000, int(path.name[8:])))
    assert before > 50
    save_checkpoint(tmp_path, {}, Progress(1), keep=1)
    assert [path.name for path in tmp_path.glob("[0-9]*")] == ["01-0000-000000"]


def test_a_damaged_checkpoint_is_passed_over(tmp_path, tiny, capsys):
    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path, {"model": tiny.variables}, Progress(0, epoch), keep=3)
    last = tmp_path / "00-0003-000000" / VARIABLES
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    last.write_bytes(content)
    second = tmp_path / "00-0002-000000" / VARIABLES
    os.truncate(second, second.stat().st_size // 2)
    (tmp_path / "00-0009-000000").mkdir()  # nothing in it
    assert last_checkpoint(tmp_path)[1] == Progress(0, 1)
    told = capsys.readouterr().err
    assert f"{last.parent} is damaged" in told
    assert f"{second.parent} is damaged" in told
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_a_full_disk_keeps_the_last_good_one(tmp_path, tiny, monkeypatch):
    variables = {"model": tiny.variables}
    save_checkpoint(tmp_path, variables, Progress(0, 1), keep=1)

    def full(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"The disk is full.*00-0002-000000.*go on with --resume"):
        save_checkpoint(tmp_path, variables, Progress(0, 2), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["00-0001-000000"]
    assert last_checkpoint(tmp_path)[1] == Progress(0, 1)


def test_weights_that_are_not_finite_are_not_kept(tiny, tmp_path):
    """The loss of an epoch's last step is finite still when its update breaks the weights."""
    save_checkpoint(tmp_path, {"model": tiny.variables}, Progress(0, 1))
    head = tiny.get_layer("head")
    head.set_weights([head.get_weights()[0] * np.nan, head.get_weights()[1]])
    with pytest.raises(RuntimeError, match=r"1 weights became NaN.*head/kernel.*lower learning"):
        save_checkpoint(tmp_path, {"model": tiny.variables}, Progress(0, 2))
    assert last_checkpoint(tmp_path)[1] == Progress(0, 1)
