"""HST: hierarchical inference over windows of frames, whose attention weights the flow.

Cai and Cai, "Hierarchy Spatial-Temporal Transformer for Action Recognition in Short Videos". Of T =
16 frames and flow fields, S = 224:

    Omega, Phi    1x1x1 convolution, 1x3x3 with stride 2 on each frame  (16, 112, 112, 64)   (3.1)
    windows       two frames each, normalised by their likeness         (8, 112, 112, 64)    eq. 2-6
    four stages   of blocks, each with an HResidual unit                (8, 14, 14, 128)     eq. 7-9
    attention     of the first four windows and the last four           (14, 14, 128)      eq. 10-12
    flow          convolution over time, mean                           (14, 14, 128)          eq. 1
    hybrid        flow weighted by what the frames show                 (14, 14, 128)      eq. 13-17
    classes       mean over the cells, dense 1024, dense                (N,)            (4, table 1)

The softmax stays in the loss and in the exported model. The paper says little of how its equations
are stacked and there is no public code: this is a reconstruction, whose parameters come to those of
tables 2 and 4. Numbers in brackets below are rows of the specification's decision table. Axis
letters: B batch, T frames, K windows, S pixels of a side, h w cells, L flow length, C channels, N
classes.
"""

import functools

import keras
from keras import layers

from vidrec.clip import FLOW_ZERO, MODALITIES, ClipSpec
from vidrec.models.layers.batch_norm import momentum_of
from vidrec.models.layers.hierarchical_mix import HIERARCHIES
from vidrec.models.layers.hresidual_block import hresidual_block
from vidrec.models.layers.hybrid_attention import AXES, FUSIONS, ORDERS, HybridAttention
from vidrec.models.layers.spatial_feature_attention import SpatialFeatureAttention
from vidrec.models.layers.visual_window import NORMS, SpatialVisualWindow
from vidrec.models.options import (
    check_choices,
    check_counts,
    check_lists,
    check_not_negative,
    check_switches,
    literal_or_default,
)

DEFAULT_CLIP = ClipSpec(segments=1, frames_per_segment=16, size=224, flow_length=1)
BACKBONES = ()
LAST_MAPS = r"stage4_block\d+_act"
LONGEST_VIDEO = 30  # s, what the paper says it is for (3, 5)
LAYER_SIZES = {"resnet21": (4, 6, 6, 3), "vgg13": (4, 3, 3, 3)}  # blocks of each stage
CHOICES = {
    "backbone": tuple(LAYER_SIZES),
    "norm": ("batch", "none"),
    "shortcut": ("backbone", "identity", "projection", "none"),
    "window_conv": ("per_window3d", "shared3d", "shared2d"),
    "hierarchy": HIERARCHIES,
    "svn_norm": NORMS,
    "window_merge": ("mean", "sum"),
    "attention_placement": ("once", "every_block"),
    "attention_axis": tuple(AXES),
    "order": ORDERS,
    "fuse": FUSIONS,
}
DEFAULTS = {  # what None stands for, and with `literal`
    "norm": ("batch", "none"),
    "window_merge": ("mean", "sum"),
    "attention_axis": ("channels", "positions"),
    "attention_gain": (True, False),
}


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    backbone="resnet21",
    layer_sizes=None,
    inner=64,
    outer=128,
    norm=None,
    bn_momentum=None,
    shortcut="backbone",
    share_window_weights=False,
    window_conv="per_window3d",
    hierarchy="input",
    shuffle_groups=8,
    hard_mask=False,
    svn_norm="mean",
    svn_noise_std=0.0,
    window_merge=None,
    attention_placement="once",
    attention_axis=None,
    attention_gain=None,
    order="softmax_then_t",
    fuse="add",
    share_fc=False,
    head_units=(1024,),
    leaky_slope=0.01,
    literal=False,
):
    """Builds the network, which is trained as a whole.

    Args:
        num_classes: int >= 1, N.
        clip: ClipSpec of both modalities; T a multiple of 4 [H8, H20], S of 32 [H25].
        weights: None; there are no public ones.
        backbone: "resnet21", whose blocks have shortcuts, or "vgg13", whose have none [H35, H38].
        layer_sizes: four ints >= 1, the blocks of each stage; None for those of `backbone`, 4, 6,
            6, 3 and 4, 3, 3, 3 [H35].
        inner, outer: ints, channels within a block and between blocks; less for small tests.
        norm: "batch" after the 1x1 and 3x3 convolutions of a block, or "none", with which the sums
            of ResNet-21 outgrow float16 [H39].
        bn_momentum: float in [0, 1), of the moving statistics; None for 0.9, or with norm="none".
        shortcut: "identity" around each block, with a projection where the channels differ;
            "projection", one in each; "none"; or "backbone", the first of "resnet21" and the last
            of "vgg13" [H38].
        share_window_weights: bool, one matrix and one gate in an HResidual unit [H14].
        window_conv: the 3x3 convolution that ends a block, "per_window3d", a 3x3x3 kernel for each
            window, or a "shared3d" or "shared2d" one [H36, H37].
        hierarchy: what equation 7 adds of the window before, its "input" or its "output" [H12].
        shuffle_groups: int, of the channel shuffle in each block; 0 for none [H5].
        hard_mask: bool, the mask of equation 9 is 0 or 1 [H17].
        svn_norm, svn_noise_std: `norm` and `noise_std` of SpatialVisualWindow [H9, H10].
        window_merge: "mean" or "sum" of four windows each, before equation 10 [H20].
        attention_placement: "once", behind the backbone, or "every_block": both attentions in each
            block too, between its HResidual unit and its last convolution, with a temporal feature
            of its stage, and added, since their softmaxes would erase the maps [H40].
        attention_axis: of the softmax of equation 17, "channels" or "positions" [H32].
        attention_gain: bool, that softmax times the length of its axis [H33].
        order: "softmax_then_t" or "t_inside" the softmax [H31].
        fuse: "add" or "matmul", how equation 17 joins its two maps [H29].
        share_fc: bool, one dense layer for both branches of equation 15 [H27].
        head_units: ints, of the dense layers before the classes [H42].
        leaky_slope: float >= 0, of all LeakyReLUs [H16].
        literal: bool, the specification's literal preset: norm="none", window_merge="sum",
            attention_axis="positions" and attention_gain=False, where None is "batch", "mean",
            "channels" and True otherwise. Another value of these is then refused.

    Returns:
        keras.Model "hst", from a dict of "rgb" uint8 (B, T, S, S, 3) and "flow" uint8 (B, T, S, S,
        2L) to float32 logits (B, N). A batch of one video beside a batch of several is refused.

    Raises:
        ValueError: if an option is unknown, outside its range or against `literal`, the clip does
            not fit, or the policy is of float16 and nothing is normalised.
    """
    norm, window_merge, attention_axis, attention_gain = literal_or_default(
        DEFAULTS,
        literal,
        norm=norm,
        window_merge=window_merge,
        attention_axis=attention_axis,
        attention_gain=attention_gain,
    )
    check_choices(
        CHOICES,
        backbone=backbone,
        norm=norm,
        shortcut=shortcut,
        window_conv=window_conv,
        hierarchy=hierarchy,
        svn_norm=svn_norm,
        window_merge=window_merge,
        attention_placement=attention_placement,
        attention_axis=attention_axis,
        order=order,
        fuse=fuse,
    )
    check_switches(
        share_window_weights=share_window_weights,
        hard_mask=hard_mask,
        attention_gain=attention_gain,
        share_fc=share_fc,
    )
    sizes = LAYER_SIZES[backbone] if layer_sizes is None else layer_sizes
    check_lists(layer_sizes=sizes, head_units=head_units)
    check_counts(num_classes=num_classes, inner=inner, outer=outer)
    check_not_negative(svn_noise_std=svn_noise_std, leaky_slope=leaky_slope)
    _check(clip, weights, sizes, inner, outer, shuffle_groups, norm)
    bn_momentum = momentum_of(bn_momentum, normalises=norm == "batch")
    if shortcut == "backbone":
        shortcut = "identity" if backbone == "resnet21" else "none"
    leaky = functools.partial(layers.LeakyReLU, negative_slope=leaky_slope)
    attend = functools.partial(
        attention,
        merge=window_merge,
        axis=attention_axis,
        gain=attention_gain,
        order=order,
        fuse=fuse,
        share_fc=share_fc,
    )
    everywhere = attention_placement == "every_block"
    block = functools.partial(
        hresidual_block,
        inner=inner,
        outer=outer,
        leaky_slope=leaky_slope,
        bn_momentum=bn_momentum,
        shortcut=shortcut,
        window_conv=window_conv,
        shuffle_groups=shuffle_groups,
        share=share_window_weights,
        hierarchy=hierarchy,
        hard_mask=hard_mask,
        attend=attend if everywhere else None,
    )

    inputs = {name: keras.Input(clip.shape(name), dtype="uint8", name=name) for name in MODALITIES}
    normalize = functools.partial(layers.Rescaling, offset=-1.0, dtype="float32")
    rgb = normalize(1 / 127.5, name="rgb_normalize")(inputs["rgb"])
    # (code - 128) / 128: in [-1, 1], and exactly 0 where nothing moves; 1 is 20.08 px.
    flow = normalize(1 / FLOW_ZERO, name="flow_normalize")(inputs["flow"])

    x = layers.Conv3D(3, 1, name="omega")(rgb)  # Omega, at each pixel [H6]
    x = layers.ZeroPadding3D((0, 1, 1), name="phi0_pad")(x)
    x = layers.Conv3D(inner, (1, 3, 3), strides=(1, 2, 2), name="phi0")(x)  # [H7]
    x = leaky(name="phi0_act")(x)
    x = SpatialVisualWindow(norm=svn_norm, noise_std=svn_noise_std, name="svn")(x)
    for stage, blocks in enumerate(sizes, start=1):
        if stage > 1:
            x = layers.MaxPooling3D((1, 2, 2), name=f"stage{stage}_pool")(x)
        t = temporal_feature(flow, x, inner, leaky, f"stage{stage}_") if everywhere else None
        for number in range(1, blocks + 1):
            x = block(x, temporal=t, name=f"stage{stage}_block{number}")
    if everywhere:
        x = layers.GlobalAveragePooling3D(name="pool")(x)
    else:
        x = attend(x, temporal_feature(flow, x, outer, leaky))
        x = layers.GlobalAveragePooling2D(name="pool")(x)  # (B, outer) [H41]
    for number, units in enumerate(head_units, start=1):
        x = layers.Dense(units, name=f"fc{number}")(x)
        x = leaky(name=f"fc{number}_act")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="hst")


def temporal_feature(flow, maps, channels, leaky, prefix=""):
    """Equation 1: flow (B, T, S, S, 2L) to T, (B, h, w, channels), h and w those of `maps`.

    The activation between convolution and mean is what makes the order of the frames count [H34].
    """
    cells = maps.shape[2]
    frames, size = flow.shape[1:3]
    x = layers.AveragePooling3D((1, size // cells, size // cells), name=f"{prefix}flow_pool")(flow)
    x = layers.Conv3D(channels, (3, 1, 1), padding="same", name=f"{prefix}temporal_cnn")(x)
    x = leaky(name=f"{prefix}temporal_act")(x)
    x = layers.AveragePooling3D((frames, 1, 1), name=f"{prefix}temporal_mean")(x)
    return layers.Reshape((cells, cells, channels), name=f"{prefix}temporal_feature")(x)


def attention(windows, temporal, prefix="", *, merge, **options):
    """Equations 10 to 17: windows (B, K, h, w, C) and T (B, h, w, C) to T weighted, (B, h, w, C).

    s1 is of the first half of the windows, s2 of the second [H20].
    """
    half = windows.shape[1] // 2
    merged = layers.AveragePooling3D((half, 1, 1), dtype="float32", name=f"{prefix}merge_windows")
    maps = merged(windows)
    if merge == "sum":
        maps = layers.Rescaling(float(half), dtype="float32", name=f"{prefix}merge_sum")(maps)
    maps = SpatialFeatureAttention(name=f"{prefix}spatial_attention")(maps)
    return HybridAttention(**options, name=f"{prefix}hybrid_attention")(maps, temporal)


def _check(clip, weights, sizes, inner, outer, groups, norm):
    if weights is not None:
        raise ValueError(
            "hst has no public weights: `weights` must be None. Trained weights come from a run, "
            f"by `streams.joint.init.run` in an experiment. Received: weights={str(weights)!r}"
        )
    if clip.modalities != MODALITIES:
        raise ValueError(
            "hst takes both modalities, ('rgb', 'flow'). "
            f"Received: clip.modalities={clip.modalities}"
        )
    if clip.frames % 4:
        raise ValueError(
            "A clip must have a multiple of 4 frames: windows of two, in two halves. "
            f"Received: {clip.frames} frames"
        )
    if clip.size % 32:
        raise ValueError(f"`clip.size` must be a multiple of 32. Received: clip.size={clip.size}")
    if len(sizes) != 4:
        raise ValueError(f"`layer_sizes` must be of four stages. Received: layer_sizes={sizes}")
    if inner % 4 or outer % 4:
        raise ValueError(
            f"`inner` and `outer` must be multiples of 4. Received: inner={inner}, outer={outer}"
        )
    if not isinstance(groups, int) or groups < 0 or (groups and inner % groups):
        raise ValueError(
            "`shuffle_groups` must be 0 or an integer that divides `inner`. "
            f"Received: shuffle_groups={groups!r}, inner={inner}"
        )
    policy = keras.config.dtype_policy()
    if norm == "none" and policy.compute_dtype == "float16":
        raise ValueError(
            "norm='none' must be computed in bfloat16 or float32: sums that nothing normalises "
            f"outgrow float16. Received: {policy.name!r}"
        )
