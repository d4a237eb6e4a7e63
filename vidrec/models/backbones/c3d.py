"""C3D: eight 3 x 3 x 3 convolutions, five pools and two dense layers (Tran et al., "Learning
Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015).

Layers are named as in the public nets, whose weights `c3d_weights` reads. Axis letters: B batch,
S pixels of a side, F filters.
"""

from keras import layers

from vidrec.models.width import scaled

CONVOLUTIONS = {  # of each block, behind which a pool stands
    "1": {"conv1": 64},
    "2": {"conv2": 128},
    "3": {"conv3a": 256, "conv3b": 256},
    "4": {"conv4a": 512, "conv4b": 512},
    "5": {"conv5a": 512, "conv5b": 512},
}
DENSE = {"fc6": 4096, "fc7": 4096}
RGB_MEANS = (102.0, 98.0, 90.0)  # of Sports-1M, subtracted from 0..255; nothing is divided


def c3d(clips, *, dropout=0.5, width=1.0):
    """C3D without its classes: clips (B, 16, S, S, 3), `RGB_MEANS` subtracted, to (B, 4096).

    The last pool's maps are padded by one cell around, as in the public nets: 112 px end in 4 x 4
    cells, not 3 x 3, and fc6 takes 8192 values. Random kernels are Glorot's: they bring values of
    some 100 down to about 1, where He's would keep them.

    Args:
        clips: tensor, S a multiple of 16.
        dropout: float in [0, 1), after each dense layer.
        width: float > 0, multiplies all channels.

    Returns:
        Tensor (B, 4096 width).
    """
    x = clips
    for block, convolutions in CONVOLUTIONS.items():
        for name, filters in convolutions.items():
            x = layers.Conv3D(
                scaled(filters, width), 3, padding="same", activation="relu", name=name
            )(x)
        if block == "5":
            x = layers.ZeroPadding3D((0, 1, 1), name="pool5_pad")(x)  # no value is below 0
        x = layers.MaxPooling3D((1 if block == "1" else 2, 2, 2), name=f"pool{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    for name, units in DENSE.items():
        x = layers.Dense(scaled(units, width), activation="relu", name=name)(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_drop")(x)
    return x
