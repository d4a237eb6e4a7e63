"""ResNet-101 (He et al., CVPR 2016) in both of its public variants, for any number of channels.

    stem       7x7 convolution at stride 2, 64 filters; 3x3 maximum at stride 2     S / 4
    conv2..5   3, 4, 23 and 3 blocks of 1x1, 3x3, 1x1 convolutions around which     S / 4 to S / 32
               a shortcut leads; 64 to 512 filters, four times as many come out

The first block of conv3, conv4 and conv5 halves the maps: in its 3x3 convolution as torchvision has
it (often called v1.5; 7.80 GMAC at 224 px), or in its first 1x1 as the paper and keras.applications
have it (7.57 GMAC). Layers are named as in keras.applications.
"""

import functools

import keras
from keras import layers

from vidrec.models.backbones.resnet101_weights import load
from vidrec.models.options import check_shares
from vidrec.models.width import scaled

BLOCKS = (3, 4, 23, 3)
FILTERS = (64, 128, 256, 512)
EXPANSION = 4
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB / 255; torchvision's
RGB_MEANS = (123.68, 116.779, 103.939)  # of RGB; keras.applications', which divides by nothing
FLOW_MEAN, FLOW_STD = 0.5, 0.226  # of codes / 255; TSN's


def resnet101(
    size,
    channels,
    *,
    stride_in_3x3=True,
    weights=None,
    blocks=BLOCKS,
    width=1.0,
    bn_momentum=0.9,
    name="resnet101",
):
    """ResNet-101 without its top: (B, size, size, channels) to (B, h, w, 2048) after the last ReLU.

    h is size / 32, rounded up. Images are what `normalization` makes of them.

    Args:
        size: int >= 32, px.
        channels: int >= 1. With other than 3, weights are those of an RGB net, with the first
            kernel's mean over RGB repeated for every channel.
        stride_in_3x3: bool, torchvision's variant, or that of keras.applications.
        weights: None for random; for torchvision's variant the path of a `.npz` that
            preprocessing/convert_resnet101.py writes; for the other "imagenet" to download them
            through keras.applications, or the path of its `.h5` file without top.
        blocks: four ints >= 1, of conv2 to conv5; fewer for small data and tests.
        width: float > 0, times the filters of every convolution.
        bn_momentum: float in [0, 1), of the moving statistics.
        name: str, name of the model.

    Returns:
        keras.Model whose blocks end in the layers "conv2_block1_out" to "conv5_block3_out".

    Raises:
        ValueError: if an option is outside its range, or `weights` do not fit.
        FileNotFoundError: if `weights` is a path and there is no such file.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if size < 32:
        raise ValueError(f"`size` must be at least 32 px. Received: size={size}")
    whole = isinstance(blocks, tuple | list) and all(isinstance(n, int) and n >= 1 for n in blocks)
    if not whole or len(blocks) != 4:
        raise ValueError(f"`blocks` must be four integers >= 1. Received: blocks={blocks!r}")
    check_shares(bn_momentum=bn_momentum)
    conv = functools.partial(
        _conv,
        bias=not stride_in_3x3,
        norm=functools.partial(
            layers.BatchNormalization,
            momentum=bn_momentum,
            epsilon=1e-5 if stride_in_3x3 else 1.001e-5,
        ),
    )
    images = keras.Input((size, size, channels), name=f"{name}_images")
    x = conv(images, "conv1", scaled(FILTERS[0], width), 7, stride=2)
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (count, filters) in enumerate(zip(blocks, FILTERS, strict=True), start=2):
        for number in range(1, count + 1):
            x = _block(
                x,
                f"conv{stage}_block{number}",
                scaled(filters, width),
                conv,
                first=number == 1,
                stride=2 if stage > 2 and number == 1 else 1,
                stride_in_3x3=stride_in_3x3,
            )
    model = keras.Model(images, x, name=name)
    if weights is not None:
        load(model, weights, stride_in_3x3=stride_in_3x3)
    return model


def normalization(modality, *, stride_in_3x3=True):
    """What the net's images are, of 0 to 255: (scale, offset), numbers or one for each channel.

    torchvision's variant takes RGB / 255 and flow codes / 255 in units of a standard deviation. The
    other takes values up to 150 that are divided by nothing, of flow also: its first statistics
    would make next to nothing of small ones.

    Args:
        modality: "rgb" or "flow".
        stride_in_3x3: bool, as for `resnet101`.
    """
    if stride_in_3x3:
        means, stds = (RGB_MEAN, RGB_STD) if modality == "rgb" else ([FLOW_MEAN], [FLOW_STD])
    else:
        means = [mean / 255 for mean in RGB_MEANS] if modality == "rgb" else [FLOW_MEAN]
        stds = [1 / 255] * len(means)
    scale = [1 / (255 * std) for std in stds]
    offset = [-mean / std for mean, std in zip(means, stds, strict=True)]
    return (scale[0], offset[0]) if modality == "flow" else (scale, offset)


def _block(x, name, filters, conv, *, first, stride, stride_in_3x3):
    """1x1, 3x3, 1x1; the first block of a stage has a convolution in its shortcut."""
    outer, inner = (1, stride) if stride_in_3x3 else (stride, 1)
    shortcut = conv(x, f"{name}_0", EXPANSION * filters, 1, stride=stride) if first else x
    x = layers.ReLU(name=f"{name}_1_relu")(conv(x, f"{name}_1", filters, 1, stride=outer))
    x = layers.ReLU(name=f"{name}_2_relu")(conv(x, f"{name}_2", filters, 3, stride=inner))
    x = conv(x, f"{name}_3", EXPANSION * filters, 1)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)


def _conv(x, name, filters, kernel, *, norm, bias, stride=1):
    padding = "same"
    if stride > 1 and kernel > 1:  # both sides, as PyTorch; Keras' "same" would pad the end more
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=bias,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=f"{name}_conv",
    )(x)
    return norm(name=f"{name}_bn")(x)
