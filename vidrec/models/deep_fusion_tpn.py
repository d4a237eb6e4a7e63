"""Deep fusion of two streams, Temporal Pyramid Net and bidirectional LN-LSTM.

Ou and Sun, "Multi-scale spatialtemporal information deep fusion network with temporal pyramid
mechanism for video action recognition", Journal of Intelligent & Fuzzy Systems 41(4), 2021,
doi 10.3233/JIFS-189714. At T = 24 moments of a video, S = 224:

    spatial     VGG-16 to conv5_3 on each frame                      (T, 14, 14, 512)      (3.1)
    temporal    VGG-16 to conv4_2 on each flow stack                 (T, 28, 28, 512)      (3.1)
                MST_3DCNN, pool, 3DCNN, MST_3DCNN, 3DCNN over time   (T, 14, 14, 512)      (3.1)
    fusion      concatenation, 3x3x3 convolution, pool               (T, 7, 7, 512)        (3.2)
    pyramid     of each 8 moments 1 + 2 + 4 means                    (T / 8, 175616)       (3.3)
    context     dropout 0.5, 2 x 101 LN-LSTM, dropout 0.25, mean     (202,)           (3.3, 3.4)
    classes     dense                                                (N,)                  (3.5)

The softmax stays in the loss and in the exported model. The paper's formulas, figures and tables
are lost, so much of this is reconstructed: the numbers in brackets below are rows of the decision
table, which tells what from. One departure cannot be chosen: layer normalisation is over units, not
over the samples of a step as the formulas' text has it, since that leaves nothing of a batch of 1
[25]. Axis letters: B batch, T moments, S pixels of a side, L flow length, N classes.
"""

import keras
from keras import layers

from vidrec.clip import MODALITIES, ClipSpec
from vidrec.models.backbones.vgg16 import RGB_MEANS, vgg16
from vidrec.models.layers.factorized_conv3d import conv3d, mst_conv3d
from vidrec.models.layers.identity_gaussian import IdentityGaussian
from vidrec.models.layers.ln_lstm import LayerNormLSTMCell
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments
from vidrec.models.layers.temporal_pyramid import temporal_pyramid
from vidrec.models.options import check_choices
from vidrec.models.width import scaled

DEFAULT_CLIP = ClipSpec(
    segments=1, frames_per_segment=24, size=224, flow_length=4, flow_position="centre"
)
BACKBONES = ("vgg16", "vgg9")
LAST_MAPS = "fusion_conv3d"
FILTERS = 512  # of everything behind the towers
CHOICES = {
    "factor_activation": (None, "relu"),
    "pool4": ("after_mst", "before_mst"),
    "fusion_pool": ("after", "before"),
    "fusion_init": ("glorot", "identity_gaussian"),
    "tpn_mode": ("window", "global"),
    "merge_mode": ("concat", "sum"),
    "time_aggregation": ("mean", "last"),
}


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    flow_scale=1.0,
    mst_spatial=(1, 3, 5),
    mst_temporal=(3, 3, 5),
    factor_activation=None,
    factorize_3dcnn=True,
    pool4="after_mst",
    fusion_pool="after",
    fusion_init="glorot",
    tpn_mode="window",
    tpn_levels=(1, 2, 4),
    tpn_window=8,
    tpn_dropout=0.5,
    lstm_units=101,
    layer_norm=True,
    normalize_candidate=False,
    normalize_cell=False,
    forget_bias=1.0,
    epsilon=1e-3,
    merge_mode="concat",
    lstm_dropout=0.25,
    time_aggregation="mean",
    width=1.0,
):
    """Builds the network, which is trained as a whole.

    Args:
        num_classes: int >= 1, N.
        clip: ClipSpec of both modalities; T a multiple of `tpn_window` [5], S of 32, L even, since
            each flow stack has its frame in the middle [11].
        weights: None, "imagenet", or the path of a weight file of VGG-16; into all convolutions of
            both towers but the temporal one's first, whose channels are flow [10].
        flow_scale: float > 0, times code - 127.5. VGG has no batch normalisation and expects such
            values; 1 / 127.5 gives [-1, 1] and activations that much smaller [13].
        mst_spatial, mst_temporal: ints of the same length, the scales of MST_3DCNN's branches;
            (3, 3, 5) in time is the paper's, the scales in space are inferred [15].
        factor_activation: None or "relu", between the factors of a 3D convolution [17].
        factorize_3dcnn: bool, factors in 3DCNN as in MST_3DCNN, or full 3 x 3 x 3 [18].
        pool4: "after_mst" as VGG has it, or "before_mst", a quarter of the first one's work [20].
        fusion_pool: "after" the fusion, or "before" it in each stream [21].
        fusion_init: "glorot", or "identity_gaussian", 0.25 spatial + 0.75 temporal, smoothed [23].
        tpn_mode: "window", a pyramid of each `tpn_window` moments is a step of the LSTM; "global",
            the fusion's pool leaves `tpn_window` moments and each of their means is a step [2].
        tpn_levels: ints that divide `tpn_window`, the numbers of means [1, 3].
        tpn_window: int >= 1, moments [2].
        tpn_dropout, lstm_dropout: floats in [0, 1), the shares that are dropped [32].
        lstm_units: int >= 1, of each direction, whatever N [29].
        layer_norm: bool; False makes Keras' LSTM [25].
        normalize_candidate, normalize_cell: bool, beside the inputs of the sigmoids [26].
        forget_bias: float, what beta of the forget gate starts with [27].
        epsilon: float > 0, of layer normalisation [28].
        merge_mode: "concat" or "sum" of the two directions [30].
        time_aggregation: "mean" over the steps, or "last", where each direction ends [31].
        width: float > 0, times the filters of every convolution; below 1 for small tests.

    Returns:
        keras.Model "deep_fusion_tpn", from a dict of "rgb" uint8 (B, T, S, S, 3) and "flow" uint8
        (B, T, S, S, 2L) to float32 logits (B, N).

    Raises:
        ValueError: if an option is unknown or outside its range, or the clip does not fit.
        FileNotFoundError, RuntimeError: if `weights` are not there, or cannot be downloaded.
    """
    _check_clip(clip, tpn_window)
    check_choices(
        CHOICES,
        factor_activation=factor_activation,
        pool4=pool4,
        fusion_pool=fusion_pool,
        fusion_init=fusion_init,
        tpn_mode=tpn_mode,
        merge_mode=merge_mode,
        time_aggregation=time_aggregation,
    )
    if num_classes < 1 or not (0 <= tpn_dropout < 1 and 0 <= lstm_dropout < 1):
        raise ValueError(
            "`num_classes` must be at least 1, `tpn_dropout` and `lstm_dropout` in [0, 1). "
            f"Received: num_classes={num_classes}, tpn_dropout={tpn_dropout}, "
            f"lstm_dropout={lstm_dropout}"
        )
    moments, size, _, channels = clip.shape("flow")
    filters = scaled(FILTERS, width)
    inputs = {name: keras.Input(clip.shape(name), dtype="uint8", name=name) for name in MODALITIES}

    offset = [-mean for mean in RGB_MEANS]
    rgb = layers.Rescaling(1.0, offset=offset, dtype="float32", name="rgb_normalize")
    tower = vgg16(size, 3, weights=weights, width=width, name="spatial_vgg16")
    spatial = _at_each_moment(tower, rgb(inputs["rgb"]), "rgb")

    flow = layers.Rescaling(
        flow_scale, offset=-127.5 * flow_scale, dtype="float32", name="flow_center"
    )
    tower = vgg16(
        size,
        channels,
        convolutions=(2, 2, 3, 2),
        weights=weights,
        width=width,
        name="temporal_vgg9",
    )
    temporal = _at_each_moment(tower, flow(inputs["flow"]), "flow")
    temporal = temporal_mst3d(
        temporal.shape[1:],
        filters,
        spatial=mst_spatial,
        temporal=mst_temporal,
        factor_activation=factor_activation,
        factorize_3dcnn=factorize_3dcnn,
        pool4=pool4,
    )(temporal)

    stride = moments // tpn_window if tpn_mode == "global" else 1
    x = fuse(
        spatial, temporal, filters, pool=(stride, 2, 2), position=fusion_pool, init=fusion_init
    )
    x = temporal_pyramid(x, levels=tpn_levels, window=tpn_window, join_levels=tpn_mode == "window")
    x = layers.Dropout(tpn_dropout, name="tpn_dropout")(x)

    cell = LayerNormLSTMCell(
        lstm_units,
        layer_norm=layer_norm,
        normalize_candidate=normalize_candidate,
        normalize_cell=normalize_cell,
        forget_bias=forget_bias,
        epsilon=epsilon,
        name="cell",
    )
    every_step = time_aggregation == "mean"
    lstm = layers.RNN(cell, return_sequences=every_step, name="ln_lstm")
    x = layers.Bidirectional(lstm, merge_mode=merge_mode, name="bi_ln_lstm")(x)
    x = layers.Dropout(lstm_dropout, name="lstm_dropout")(x)
    if every_step:
        x = layers.GlobalAveragePooling1D(name="time_mean")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="deep_fusion_tpn")


def temporal_mst3d(
    shape,
    filters,
    *,
    spatial,
    temporal,
    factor_activation=None,
    factorize_3dcnn=True,
    pool4="after_mst",
):
    """The last four convolutions of the temporal stream, which reach over the moments (3.1).

    Args:
        shape: (T, H, W, C).
        filters: int, F, of each branch of MST_3DCNN and of 3DCNN.
        spatial, temporal: `mst_spatial` and `mst_temporal`; and the others: see `build`.

    Returns:
        keras.Model "temporal_mst3d", (B, T, H, W, C) to (B, T, H / 2, W / 2, F).
    """
    scales = {"spatial": spatial, "temporal": temporal, "factor_activation": factor_activation}
    single = {"factorize": factorize_3dcnn, "factor_activation": factor_activation}
    pool = layers.MaxPooling3D((1, 2, 2), name="block4_pool")
    maps = x = keras.Input(shape, name="temporal_maps")
    if pool4 == "before_mst":
        x = mst_conv3d(pool(x), filters, **scales, name="block4_mst")
    else:
        x = pool(mst_conv3d(x, filters, **scales, name="block4_mst"))
    x = conv3d(x, filters, **single, name="block5_conv3d_1")
    x = mst_conv3d(x, filters, **scales, name="block5_mst")
    x = conv3d(x, filters, **single, name="block5_conv3d_2")
    return keras.Model(maps, x, name="temporal_mst3d")


def fuse(spatial, temporal, filters, *, pool, position="after", init="glorot"):
    """Stacks the two streams' maps and convolves them in space and time (3.2).

    Args:
        spatial, temporal: tensors (B, T, H, W, C).
        filters: int, F.
        pool: (t, h, w), window and stride of the maximum pool.
        position: of the pool, "after" the convolution or "before" it in each stream.
        init: "glorot" or "identity_gaussian", see `build`.

    Returns:
        Tensor (B, T / t, H / h, W / w, F).
    """
    if position == "before":
        spatial = layers.MaxPooling3D(pool, name="fusion_pool_spatial")(spatial)
        temporal = layers.MaxPooling3D(pool, name="fusion_pool_temporal")(temporal)
    x = layers.Concatenate(name="fusion_concat")([spatial, temporal])
    x = layers.Conv3D(
        filters,
        3,
        padding="same",
        activation="relu",
        kernel_initializer="glorot_uniform" if init == "glorot" else IdentityGaussian(),
        name="fusion_conv3d",
    )(x)
    return x if position == "before" else layers.MaxPooling3D(pool, name="fusion_pool")(x)


def _at_each_moment(network, clips, modality):
    """A network of single images over (B, T, S, S, C): maps (B, T, h, w, F)."""
    maps = network(FoldSegments(name=f"{modality}_fold")(clips))
    return UnfoldSegments(name=f"{modality}_unfold")(maps, clips)


def _check_clip(clip, window):
    if clip.modalities != MODALITIES:
        raise ValueError(
            "deep_fusion_tpn takes both modalities, ('rgb', 'flow'). "
            f"Received: clip.modalities={clip.modalities}"
        )
    if clip.flow_length % 2 or clip.flow_position != "centre":
        raise ValueError(
            "deep_fusion_tpn takes flow stacks with their frame in the centre, of an even length. "
            f"Received: clip.flow_length={clip.flow_length}, "
            f"clip.flow_position={clip.flow_position!r}"
        )
    if clip.size % 32:
        raise ValueError(
            f"`clip.size` must be a multiple of 32 px. Received: clip.size={clip.size}"
        )
    part = clip.frames_per_segment
    if window < 1 or clip.frames % window or (part % window and window % part):
        raise ValueError(
            "A clip must have whole windows of `tpn_window` moments, each of whole segments or "
            f"within one. Received: clip.segments={clip.segments}, "
            f"clip.frames_per_segment={part}, tpn_window={window}"
        )
