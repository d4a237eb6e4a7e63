"""vidrec: published video action recognition systems, reproduced with Keras 3 and TensorFlow 2."""

__version__ = "0.1.0"
