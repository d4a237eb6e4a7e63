"""The block that HST stacks in place of a residual or a VGG block (Cai and Cai, tables 1 and 3).

Section 4 reshapes the kernel of "the first HResidual Unit" to 1x1 "in every layer"; here that is
the 1x1 convolution of the tables, and Phi stays 1x3x3 in all units.

Axis letters: B batch, K windows, h w cells, C channels.
"""

import functools

from keras import layers

from vidrec.models.layers.batch_norm import batch_norm
from vidrec.models.layers.channel_shuffle import ChannelShuffle
from vidrec.models.layers.hierarchical_mix import HierarchicalMix
from vidrec.models.layers.per_window_conv3d import PerWindowConv3D


def hresidual_block(
    z,
    *,
    inner,
    outer,
    bn_momentum=0.9,
    shortcut="identity",
    window_conv="per_window3d",
    shuffle_groups=8,
    share=False,
    hierarchy="input",
    hard_mask=False,
    leaky_slope=0.01,
    attend=None,
    temporal=None,
    name,
):
    """A 1x1 convolution, the HResidual unit of equations 7 to 9, a 3x3 convolution of each window.

    Args:
        z: tensor (B, K, h, w, C).
        inner, outer: ints, channels within and behind the block.
        bn_momentum: float, of batch normalisation after the first and last convolution; or None for
            no normalisation [H39].
        shortcut: "identity", with a projection where C is not `outer`; "projection" always; "none".
        window_conv: "per_window3d", "shared3d" or "shared2d", the last convolution [H36, H37].
        shuffle_groups: int, or 0 for no shuffle [H5].
        share, hierarchy, hard_mask, leaky_slope: see HierarchicalMix.
        attend: None, or a function of maps (B, K, h, w, inner), `temporal` and the beginning of a
            name to what is added to every window, (B, h, w, inner) [H40].
        temporal: tensor (B, h, w, inner), for `attend`.
        name: str, what the names of its layers begin with.

    Returns:
        Tensor (B, K, h, w, outer).
    """
    leaky = functools.partial(layers.LeakyReLU, negative_slope=leaky_slope)
    s = layers.Conv3D(inner, 1, name=f"{name}_conv1x1")(z)
    s = leaky(name=f"{name}_a_act")(batch_norm(s, bn_momentum, f"{name}_a_bn"))
    if shuffle_groups:
        s = ChannelShuffle(shuffle_groups, name=f"{name}_shuffle")(s)
    phi = layers.Conv3D(inner, (1, 3, 3), padding="same", name=f"{name}_phi")(s)
    mask = layers.Conv3D(1, (1, 3, 3), padding="same", activation="sigmoid", name=f"{name}_mask")(s)
    mix = HierarchicalMix(
        share=share,
        hierarchy=hierarchy,
        hard_mask=hard_mask,
        leaky_slope=leaky_slope,
        name=f"{name}_hres",
    )
    h = mix(s, phi, mask)
    if attend:
        attended = attend(h, temporal, f"{name}_")
        attended = layers.Reshape((1, *attended.shape[1:]), name=f"{name}_each_window")(attended)
        h = layers.Add(name=f"{name}_attended")([h, attended])
    y = _last(outer, window_conv, f"{name}_conv3x3")(h)
    y = batch_norm(y, bn_momentum, f"{name}_y_bn")
    if shortcut != "none":
        if shortcut == "projection" or z.shape[-1] != outer:
            z = layers.Conv3D(outer, 1, name=f"{name}_proj")(z)
        y = layers.Add(name=f"{name}_add")([y, z])
    return leaky(name=f"{name}_act")(y)


def _last(filters, kind, name):
    if kind == "per_window3d":
        return PerWindowConv3D(filters, name=name)
    depth = 3 if kind == "shared3d" else 1
    return layers.Conv3D(filters, (depth, 3, 3), padding="same", name=name)
