"""A small model with a backbone, batch normalisation and dropout, and data it can learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers


def make_model(name="rgb"):
    """uint8 (B, 8, 8, 3) to logits (B, 3), with a sub-model called <name>_tiny."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="block1_conv")(image)
    x = layers.BatchNormalization(name="block1_bn", momentum=0.9)(x)
    x = layers.ReLU(name="block1_act")(x)
    x = layers.Conv2D(4, 3, name="block2_conv")(x)
    x = layers.BatchNormalization(name="block2_bn", momentum=0.9)(x)
    base = keras.Model(image, x, name=f"{name}_tiny")
    clip = keras.Input((8, 8, 3), dtype="uint8", name=name)
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(clip))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model({name: clip}, layers.Dense(3, name="head")(x))


@pytest.fixture
def tiny():
    keras.utils.set_random_seed(11)
    return make_model()


def make_batches(epoch=0, epochs=6, steps=4, batch=8, *, step=0, shard=(0, 1)):
    """The same batches whenever they are asked for: batch number b is drawn from seed b. A worker
    gets its part of each."""
    own = batch // shard[1]
    part = slice(shard[0] * own, shard[0] * own + own)

    def one(number):
        rng = np.random.default_rng(int(number))
        label = rng.integers(0, 3, batch)
        image = rng.integers(0, 90, (batch, 8, 8, 3)) + 80 * np.eye(3)[label][:, None, None]
        return image.astype(np.uint8)[part], label.astype(np.int32)[part]

    def shaped(number):
        image, label = tf.numpy_function(one, [number], [tf.uint8, tf.int32])
        return {"rgb": tf.ensure_shape(image, (own, 8, 8, 3))}, tf.ensure_shape(label, (own,))

    return tf.data.Dataset.range(epoch * steps + step, epochs * steps).map(shaped)
