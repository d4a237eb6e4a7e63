"""Batch normalisation that keeps its statistics (Wang et al., "Temporal Segment Networks", 2016).

Their partial BN re-estimates mean and variance in the first layer only, which sees another
modality, and keeps those of ImageNet in the others, so that few clips cannot spoil them.
"""

import keras


@keras.saving.register_keras_serializable(package="vidrec")
class FrozenBatchNormalization(keras.layers.BatchNormalization):
    """Uses its moving statistics in training too, and never moves them; scale and shift learn."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=False, mask=mask)
