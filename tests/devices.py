"""Several devices: logical CPUs, in a process of their own since TensorFlow wants to know first."""

import subprocess
import sys

import numpy as np

from tests.conftest import PROJECT


def logical_cpus(count):
    """Parts the CPU into so many devices; before TensorFlow does anything else."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(cpu, parts)


def arrays_of(code, devices, path, *arguments):
    """Runs a script in a new process, with the number of devices, the path of a `.npz` that it is
    to write, and more arguments; what it wrote, but the "replicas" that it must have had."""
    command = [sys.executable, "-c", code, str(devices), str(path), *arguments]
    subprocess.run(command, check=True, cwd=PROJECT)
    with np.load(path) as file:
        found = dict(file)
    assert found.pop("replicas") == devices
    return found
