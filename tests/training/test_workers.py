"""Two processes that train together, over the loopback, against one that trains alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import PROJECT
from vidrec.training import callbacks
from vidrec.training.checkpoints import VARIABLES, last_checkpoint


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(folder, workers, kill_after=0):
    """Processes that share a folder, as machines share a network drive."""
    addresses = [f"localhost:{port}" for port in free_ports(workers)]
    started = []
    for index in range(workers):
        task = {"type": "worker", "index": index}
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": task})
        command = [sys.executable, "-m", "tests.training.small_run"]
        started.append(
            subprocess.Popen(
                [*command, str(folder), str(kill_after if index == 1 else 0), "plain"],
                cwd=PROJECT,
                env=os.environ | ({"TF_CONFIG": cluster} if workers > 1 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def end(processes):
    """Waits; the lines that each printed, and how each ended."""
    told = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]


def variables(folder):
    with np.load(last_checkpoint(folder / "checkpoints")[0] / VARIABLES) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    ((code, _, errors),) = end(start(folder, 1))
    assert code == 0, errors
    return folder


def check_equal(folder, alone):
    one, two = variables(alone), variables(folder)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=2e-6)
    logs = [callbacks.read_log(each / "log.csv") for each in (alone, folder)]
    np.testing.assert_allclose(logs[1].loss, logs[0].loss, rtol=1e-5)
    assert logs[1].accuracy.tolist() == logs[0].accuracy.tolist()


def test_two_processes_are_one(alone, tmp_path):
    (one, said, errors), (two, second, more) = end(start(tmp_path, 2))
    assert (one, two) == (0, 0), errors + more
    check_equal(tmp_path, alone)
    assert "epoch 6 of 6" in said
    assert second == ""  # one of them speaks


@pytest.mark.slow
def test_when_one_is_asked_to_stop_all_stop_and_go_on_together(alone, tmp_path):
    processes = start(tmp_path, 2)
    while not (tmp_path / "checkpoints").exists():
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    ended = end(processes)
    assert all("KeyboardInterrupt" in errors for _, _, errors in ended)
    progress = last_checkpoint(tmp_path / "checkpoints")[1]
    assert 0 < progress.epoch * 4 + progress.step < 24
    assert [code for code, *_ in end(start(tmp_path, 2))] == [0, 0]
    check_equal(tmp_path, alone)


@pytest.mark.slow
def test_when_one_is_killed_the_run_goes_on_from_the_last_checkpoint(alone, tmp_path):
    processes = start(tmp_path, 2, kill_after=7)
    processes[1].wait(timeout=240)
    processes[0].kill()  # as a scheduler does; it waits for its peer
    end(processes)
    assert last_checkpoint(tmp_path / "checkpoints")[1].epoch >= 1
    assert [code for code, *_ in end(start(tmp_path, 2))] == [0, 0]
    check_equal(tmp_path, alone)
