"""One device or all of them: the same code runs under MirroredStrategy when there are several."""

import keras
import tensorflow as tf


def choose_strategy():
    """MirroredStrategy over the GPUs if there are several, over several logical CPUs if a test has
    made them, and the default strategy otherwise."""
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def check_batch_size(batch_size):
    """A batch must divide evenly over the devices of the strategy in use.

    Raises:
        ValueError: if it does not; uneven parts would be averaged as if they were even.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"`batch_size` must be a multiple of the {replicas} devices. "
            f"Received: batch_size={batch_size}"
        )


def synchronise_batch_norm(model):
    """Lets every BatchNormalization layer see the whole batch, not each device its own part.

    Without it, a step on several devices differs from the same step on one. Nothing is changed
    where the strategy in use has one device.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
