"""3D networks written as tables: rows of kernels and channels, repeated in each of four stages.

Built for the VGG-13 column of Cai and Cai's table 3. Axis letters: B batch, T frames, S pixels of a
side, C channels, h w cells.
"""

from typing import NamedTuple

from keras import layers

from vidrec.models.layers.batch_norm import MOMENTUM, batch_norm
from vidrec.models.width import scaled

KERNELS = {  # (time, height, width); "p3d" is 133 and 311 side by side, summed
    "111": (1, 1, 1),
    "133": (1, 3, 3),
    "333": (3, 3, 3),
    "177": (1, 7, 7),
    "311": (3, 1, 1),
    "p3d": None,
}


class Table(NamedTuple):
    """A network's table.

    stem: kernel and channels of the first convolution, whose stride is 2 in space.
    kernels: of KERNELS, one for each row of a block.
    channels: for each of four stages, those of its rows.
    norm_first: batch normalisation behind the first row of each block.
    shortcut: around each block, with a 1x1x1 projection where the channels differ.
    head: units of the dense layers before the classes.
    """

    stem: tuple[str, int]
    kernels: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    norm_first: bool = False
    shortcut: bool = False
    head: tuple[int, ...] = ()


def table_net(clips, table, *, layer_sizes, dropout=0.0, bn_momentum=MOMENTUM, width=1.0):
    """The network of a table without its classes: clips (B, T, S, S, 3) to (B, C).

    A ReLU stands behind every convolution and dense layer, a maximum pool that halves T, h and w
    between two stages, a mean over time and place behind the last. Convolutions have biases, but
    not projections and the temporal one of "p3d". Random kernels are He's, which keep the scale of
    what has no normalisation and no shortcut; Glorot's with shortcuts, which would add it up.

    Args:
        clips: tensor, T a multiple of 8 and S of 16.
        table: Table.
        layer_sizes: four ints >= 1, blocks of each stage.
        dropout: float in [0, 1), behind each dense layer.
        bn_momentum: float in [0, 1), of the moving statistics.
        width: float > 0, multiplies the channels, but those of 3.

    Returns:
        Tensor (B, C), C the last row's channels or the head's units.
    """
    start = "glorot_uniform" if table.shortcut else "he_normal"

    def channels_of(channels):
        return channels if channels == 3 else scaled(channels, width)

    def convolve(x, kernel, channels, name, **options):
        if kernel == "p3d":
            spatial = convolve(x, "133", channels, f"{name}_spatial")
            temporal = convolve(x, "311", channels, f"{name}_temporal", use_bias=False)
            return layers.Add(name=name)([spatial, temporal])
        options = {"padding": "same", "kernel_initializer": start, **options}
        return layers.Conv3D(channels_of(channels), KERNELS[kernel], name=name, **options)(x)

    def block(x, rows, name):
        y = x
        for row, (kernel, channels) in enumerate(rows, start=1):
            y = convolve(y, kernel, channels, f"{name}_row{row}")
            if table.norm_first and row == 1:
                y = batch_norm(y, bn_momentum, f"{name}_bn")
            if row < len(rows):
                y = layers.ReLU(name=f"{name}_row{row}_relu")(y)
        if table.shortcut:
            if x.shape[-1] != y.shape[-1]:
                x = convolve(x, "111", channels, f"{name}_proj", use_bias=False)
            y = layers.Add(name=f"{name}_add")([x, y])
        return layers.ReLU(name=f"{name}_relu")(y)

    kernel, channels = table.stem
    pad = tuple(k // 2 for k in KERNELS[kernel])
    x = layers.ZeroPadding3D(pad, name="stem_pad")(clips)
    x = convolve(x, kernel, channels, "stem", strides=(1, 2, 2), padding="valid")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, (channels, blocks) in enumerate(
        zip(table.channels, layer_sizes, strict=True), start=1
    ):
        if stage > 1:
            x = layers.MaxPooling3D(2, name=f"stage{stage}_pool")(x)
        rows = list(zip(table.kernels, channels, strict=True))
        for number in range(1, blocks + 1):
            x = block(x, rows, f"stage{stage}_block{number}")
    x = layers.GlobalAveragePooling3D(name="pool")(x)
    for number, units in enumerate(table.head, start=1):
        x = layers.Dense(scaled(units, width), activation="relu", name=f"fc{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"fc{number}_drop")(x)
    return x
