"""C3D, R3D and R(2+1)D as Cai and Cai compare HST with them: tables 1 to 4 of its section 4.

    network    column "resnet21" (table 2, HMDB51)         column "vgg13" (table 4, UCF101)
    c3d        C3D as published, 16 x 112 x 112            rows 133, 333, 111 with shortcuts
    r2plus1d   R(2+1)D, blocks 4, 6, 6, 3                  rows 177, 333
    r3d        R3D, blocks 4, 6, 6, 3                      rows 133, 133 + 311

The first column's networks are those of the public jfzhang95/pytorch-video-recognition, by which
the paper's parameters of C3D and R(2+1)D come out exactly; its R3D has 13.6 % more than the paper
says, and no natural reading has as many. The second column is the readings of table 3 that come
nearest to table 4 [H36, H47, H49]. No R3D here has the maximum pool behind its stem that the tables
print: with stride 2 twice, their next row would be 56 x 56, not 112 x 112. The softmax stays in the
loss and in the exported model. Numbers in brackets are rows of the specification's decision table.
Axis letters: B batch, T frames, S pixels of a side, N classes.
"""

import keras
from keras import layers

from vidrec.clip import ClipSpec
from vidrec.models.backbones.c3d import RGB_MEANS, c3d
from vidrec.models.backbones.c3d_weights import load_npz
from vidrec.models.backbones.resnet3d import resnet3d
from vidrec.models.backbones.table_net import KERNELS, Table, table_net
from vidrec.models.layers.batch_norm import momentum_of
from vidrec.models.options import (
    check_choices,
    check_counts,
    check_lists,
    check_positive,
    check_shares,
    check_switches,
)

DEFAULT_CLIP = ClipSpec(segments=1, frames_per_segment=16, size=112, modalities=("rgb",))
BACKBONES = ()
LAST_MAPS = r"conv5b|stage4_block\d+_(out|relu)"
UNSTABLE_RATES = {"c3d": 0.1}  # with which the paper saw NaN (4)
NETWORKS = ("c3d", "r3d", "r2plus1d")
LAYER_SIZES = {"resnet21": (4, 6, 6, 3), "vgg13": (4, 3, 3, 3)}  # [H35]
TABLE3 = {
    "c3d": Table(
        stem=("333", 64),
        kernels=("133", "333", "111"),
        channels=((64, 64, 128), (128, 128, 256), (256, 256, 512), (512, 512, 512)),
        shortcut=True,
        head=(1024, 1024),
    ),
    "r2plus1d": Table(
        stem=("333", 64),
        kernels=("177", "333"),
        channels=((3, 64), (64, 128), (128, 256), (256, 512)),
        head=(1024,),
    ),
    "r3d": Table(
        stem=("177", 3),
        kernels=("133", "p3d"),
        channels=((64, 128), (128, 256), (256, 512), (512, 512)),
        norm_first=True,
    ),
}


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    network="c3d",
    column="resnet21",
    layer_sizes=None,
    stem=None,
    kernels=None,
    shortcut=None,
    head_units=None,
    dropout=None,
    bn_momentum=None,
    width=1.0,
):
    """Builds one of the six networks.

    Args:
        num_classes: int >= 1, N.
        clip: ClipSpec of RGB; S a multiple of 16, T of 8, and 16 for C3D of "resnet21". The default
            is of "resnet21"; the other column's is of 224 px [H46].
        weights: None, or for C3D of "resnet21" the path of a `.npz` of
            `preprocessing/convert_c3d.py`, which goes with 112 px and width 1 [H46].
        network: "c3d", "r3d" or "r2plus1d".
        column: "resnet21" or "vgg13".
        layer_sizes: four ints >= 1, blocks of each stage; None for the paper's. Not for C3D of
            "resnet21", which has no blocks.
        stem: of "vgg13", kernel and channels of the first convolution; None for ("333", 64), and
            ("177", 3) in R3D [H49].
        kernels: of "vgg13", the kernels of a block's rows, of "111", "133", "333", "177", "311" and
            "p3d", which is 133 and 311 summed; None for those above [H36].
        shortcut: bool, of "vgg13", around each block; None for C3D alone [H38].
        head_units: ints, of "vgg13", the dense layers before the classes; None for 1024 twice
            (C3D), once (R(2+1)D) and none (R3D) [H42].
        dropout: float in [0, 1), behind each dense layer before the classes; before the classes
            where there is none. None for 0.5 in C3D of "resnet21" and 0 elsewhere.
        bn_momentum: float in [0, 1), of the moving statistics; None for 0.9. Not for C3D and for
            R(2+1)D of "vgg13", which do not normalise.
        width: float > 0, multiplies all channels; below 1 for small tests.

    Returns:
        keras.Model "<network>_<column>", from {"rgb": uint8 (B, T, S, S, 3)} to float32 logits
        (B, N).

    Raises:
        ValueError: if an option is unknown or outside its range, or the clip or `weights` do not
            fit.
        FileNotFoundError: if `weights` is a path and there is no such file.
    """
    public_c3d = (network, column) == ("c3d", "resnet21")
    of_table = {"stem": stem, "kernels": kernels, "shortcut": shortcut, "head_units": head_units}
    if dropout is None:
        dropout = 0.5 if public_c3d else 0.0
    _check(num_classes, clip, network, column, dropout, width)
    _check_place(network, column, layer_sizes, weights, of_table)
    sizes = LAYER_SIZES[column] if layer_sizes is None else layer_sizes
    check_lists(layer_sizes=sizes)
    if len(sizes) != 4:
        raise ValueError(f"`layer_sizes` must be of four stages. Received: layer_sizes={sizes}")
    table = _table(network, **of_table) if column == "vgg13" else None
    normalises = table.norm_first if table else not public_c3d
    bn_momentum = momentum_of(bn_momentum, normalises=normalises)

    clips = keras.Input(clip.shape("rgb"), dtype="uint8", name="rgb")
    normal = {"bn_momentum": bn_momentum, "width": width}
    if table:
        x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rgb_normalize")(clips)
        x = table_net(x, table, layer_sizes=sizes, dropout=dropout, **normal)
    else:  # the public repository's means, in RGB order
        offset = [-mean for mean in RGB_MEANS]
        x = layers.Rescaling(1.0, offset=offset, dtype="float32", name="rgb_normalize")(clips)
        if public_c3d:
            x = c3d(x, dropout=dropout, width=width)
        else:
            x = resnet3d(x, factorize=network == "r2plus1d", layer_sizes=sizes, **normal)
    if dropout and not (table.head if table else public_c3d):
        x = layers.Dropout(dropout, name="drop")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    model = keras.Model({"rgb": clips}, logits, name=f"{network}_{column}")
    if weights is not None:
        load_npz(model, weights)
    return model


def _table(network, *, stem, kernels, shortcut, head_units):
    """The network's table with what is given for it."""
    table = TABLE3[network]
    if stem is not None:
        if not isinstance(stem, list | tuple) or len(stem) != 2:
            raise ValueError(f"`stem` must be a kernel and channels. Received: stem={stem!r}")
        kernel, channels = stem
        check_choices({"stem": [name for name in KERNELS if name != "p3d"]}, stem=kernel)
        check_counts(stem=channels)
        table = table._replace(stem=(kernel, channels))
    if kernels is not None:
        rows, known = len(table.kernels), tuple(KERNELS)
        if not isinstance(kernels, list | tuple) or len(kernels) != rows:
            raise ValueError(f"`kernels` must be {rows} of {known}. Received: kernels={kernels!r}")
        for kernel in kernels:
            check_choices({"kernels": known}, kernels=kernel)
        table = table._replace(kernels=tuple(kernels))
    if shortcut is not None:
        check_switches(shortcut=shortcut)
        table = table._replace(shortcut=shortcut)
    if head_units is not None:
        check_lists(head_units=head_units)
        table = table._replace(head=tuple(head_units))
    return table


def _check(num_classes, clip, network, column, dropout, width):
    known = {"network": NETWORKS, "column": tuple(LAYER_SIZES)}
    check_choices(known, network=network, column=column)
    check_counts(num_classes=num_classes)
    check_shares(dropout=dropout)
    check_positive(width=width)
    if clip.modalities != ("rgb",):
        raise ValueError(
            "conv3d_baselines takes RGB alone, ('rgb',). "
            f"Received: clip.modalities={clip.modalities}"
        )
    if clip.size % 16:
        raise ValueError(
            f"`clip.size` must be a multiple of 16 px. Received: clip.size={clip.size}"
        )
    if (network, column) == ("c3d", "resnet21") and clip.frames != 16:
        raise ValueError(f"C3D takes clips of 16 frames. Received: {clip.frames} frames")
    if clip.frames % 8:
        raise ValueError(f"A clip must have a multiple of 8 frames. Received: {clip.frames} frames")


def _check_place(network, column, layer_sizes, weights, of_table):
    """Options of one network that are given to another."""
    public_c3d = (network, column) == ("c3d", "resnet21")
    misplaced = {
        "layer_sizes": layer_sizes is not None and public_c3d,
        "weights": weights is not None and not public_c3d,
        **{name: v is not None and column != "vgg13" for name, v in of_table.items()},
    }
    for name, wrong in misplaced.items():
        if wrong:
            raise ValueError(
                f"`{name}` must be None for this network. "
                f"Received: network={network!r}, column={column!r}"
            )
