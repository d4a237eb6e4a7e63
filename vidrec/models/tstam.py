"""T-STAM: two streams of SE-BN-Inception with temporal and multi-spatial attention.

Shi, Li, Liu, Dai, "T-STAM: end-to-end action recognition model based on two-stream network with
spatio-temporal attention mechanism", Application Research of Computers 38(3), 2021. Of X, the map
of each of T frames, at cells k:

    X            SE-BN-Inception of each frame or flow stack         (T, 7, 7, 1024)  (2)
    map          x' = W1 x + b1, at each cell                        (T, 7, 7, D)     eq. 1
    temporal     a = softmax over T of conv 1x1 to 256 of x'         (T,)             eq. 2
                 f_t = sum over T of a x'                            (D,)             eq. 3
    spatial j    s = BN(conv 5x5(tanh(BN(conv 1x1 of X))))           (T, 7, 7)        eq. 4, 5
                 a = softmax of s over the cells of a frame          (T, 7, 7)        eq. 6
                 f_j = sum over T and cells of a x'                  (D,)             eq. 7
    features     F_j = f_t + f_j, all J of them concatenated         (J D,)           eq. 8, 9
    classes      dropout, dense                                      (N,)             (1)
    two streams  1/4 of RGB's probabilities + 3/4 of flow's          (N,)             (4.3.3)

The softmax stays in the loss and in the exported model. The order of the frames means nothing to a
stream: motion is in the flow stacks alone. Numbers in brackets below are rows of the
specification's decision table. Axis letters: B batch, T frames, S pixels of a side, h w cells, L
flow length, C channels, D mapped features, J spatial models, N classes.
"""

import keras
from keras import layers

from vidrec.clip import FLOW_ZERO, ClipSpec
from vidrec.models.backbones.bn_inception import EPSILON, RGB_MEANS, SE_BLOCKS, bn_inception
from vidrec.models.layers.attention import SpatialAttentionPool, TemporalAttentionPool
from vidrec.models.layers.fusion import fuse_streams
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments
from vidrec.models.options import check_choices, check_counts

DEFAULT_CLIP = ClipSpec(segments=6, size=224, flow_length=5)
BACKBONES = ("bn_inception",)
LAST_MAPS = "inception_5b_output"
DROPOUT = {"rgb": 0.8, "flow": 0.7}  # TSN's, as all other numbers of the paper's training
TEMPORAL_MODES = ("mean", "channel", "scalar")


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    num_spatial=4,
    map_dim=1024,
    temporal_hidden=256,
    temporal_mode="mean",
    spatial_agg="sum_ref",
    ref_frames=6,
    se_blocks=SE_BLOCKS,
    se_ratio=16,
    conv_bias=True,
    dropout=None,
    partial_bn=False,
    bn_momentum=0.9,
    fusion_weights=(1, 3),
    fusion_on="probabilities",
    fusion_layer="lambda",
    literal=False,
):
    """Builds the stream of one modality, or both streams with their fusion.

    Args:
        num_classes: int >= 1, N.
        clip: ClipSpec, S a multiple of 32. Its modalities choose the model: ("rgb",) the appearance
            stream, ("flow",) the motion stream, both the fused two-stream model. T is left open: a
            model trained with 6 frames is tested with 25.
        weights: None, or the path of a `.npz` of `preprocessing/convert_bn_inception.py`. The
            motion stream takes it by cross-modality initialisation. Trained streams are put in
            with `fuse`.
        num_spatial: int >= 1, J; the paper tries up to 5 [T12, T18].
        map_dim: int >= 1, D of equation 1, which acts on each cell [T6, T7].
        temporal_hidden: int >= 1, filters of the 1x1 convolution over time [T8, T9].
        temporal_mode: "mean", a frame's weight is the average of its shares in the 256 softmaxes;
            "channel", each feature has its own softmax, for which D must be `temporal_hidden`;
            "scalar", a ReLU and one more convolution lead to a single softmax [T10].
        spatial_agg: "sum_ref", the sum of equation 7 when T is `ref_frames`, and independent of T
            otherwise; "sum", which makes it grow with T while f_t does not; "mean" [T16].
        ref_frames: int >= 1, T of training.
        se_blocks: names of the blocks with a gate, of "3a" to "5b"; () for the ablation [T1, T3].
        se_ratio: int >= 1, channels per hidden unit of a gate [T2].
        conv_bias: bool, biases of the backbone's convolutions, as public weights have them [T4].
        dropout: float in [0, 1), the share of features that is dropped; None for 0.8 (RGB) and 0.7
            (flow) [T20].
        partial_bn: bool, only the backbone's first batch normalisation moves its statistics [T31].
        bn_momentum: float in [0, 1), of the moving statistics [T37].
        fusion_weights: (spatial, temporal), divided by their sum.
        fusion_on: "probabilities", and the logits are the logarithm of the result, or "scores",
            which sums logits [T22].
        fusion_layer: "lambda" or "rescaling", a built-in layer.
        literal: bool, what the paper prints and no more: `spatial_agg` is "sum" [T16] and `dropout`
            0 [T20], whatever is given for them.

    Returns:
        keras.Model named "rgb_stream", "flow_stream" or "two_stream", from a dict of "rgb" uint8
        (B, T, S, S, 3) and/or "flow" uint8 (B, T, S, S, 2L) to float32 logits (B, N).

    Raises:
        ValueError: if an option is unknown or outside its range, the clip does not fit, or
            `weights` do not; "imagenet" is refused, since Keras has none.
        FileNotFoundError: if `weights` is a path and there is no such file.
    """
    if literal:
        spatial_agg, dropout = "sum", 0.0
    _check(num_classes, clip, num_spatial, map_dim, temporal_hidden, temporal_mode, dropout)
    if len(clip.modalities) == 2:
        stream_options = {
            "weights": weights,
            "num_spatial": num_spatial,
            "map_dim": map_dim,
            "temporal_hidden": temporal_hidden,
            "temporal_mode": temporal_mode,
            "spatial_agg": spatial_agg,
            "ref_frames": ref_frames,
            "se_blocks": se_blocks,
            "se_ratio": se_ratio,
            "conv_bias": conv_bias,
            "dropout": dropout,
            "partial_bn": partial_bn,
            "bn_momentum": bn_momentum,
        }
        streams = [build(num_classes, clip.only(m), **stream_options) for m in clip.modalities]
        return fuse(*streams, weights=fusion_weights, layer=fusion_layer, on=fusion_on)

    (modality,) = clip.modalities
    _, size, _, channels = clip.shape(modality)
    clips = keras.Input((None, size, size, channels), dtype="uint8", name=modality)
    frames = FoldSegments(name=f"{modality}_fold")(clips)  # (B * T, S, S, C)
    backbone = bn_inception(
        size,
        channels,
        weights=weights,
        se_blocks=se_blocks,
        se_ratio=se_ratio,
        conv_bias=conv_bias,
        bn_momentum=bn_momentum,
        partial_bn=partial_bn,
        name=f"{modality}_bn_inception",
    )
    x = backbone(_centred(frames, modality))  # (B * T, h, w, 1024)
    mapped = layers.Dense(map_dim, name=f"{modality}_map")(x)  # eq. 1: (B * T, h, w, D)
    f_t = temporal_feature(mapped, clips, modality, temporal_hidden, temporal_mode)
    scores = [spatial_scores(x, f"{modality}_s{j + 1}", bn_momentum) for j in range(num_spatial)]
    scores = layers.Concatenate(name=f"{modality}_s_concat")(scores)  # (B * T, h, w, J)
    f_s = SpatialAttentionPool(spatial_agg, ref_frames, name=f"{modality}_s_pool")(
        UnfoldSegments(name=f"{modality}_s_cells")(mapped, clips),
        UnfoldSegments(name=f"{modality}_s_scores")(scores, clips),
    )  # eq. 6, 7: (B, J, D)
    x = layers.Add(name=f"{modality}_fuse")([f_t, f_s])  # eq. 8
    x = layers.Flatten(name=f"{modality}_concat")(x)  # eq. 9: (B, J * D)
    rate = DROPOUT[modality] if dropout is None else dropout
    x = layers.Dropout(rate, name=f"{modality}_drop")(x)
    logits = layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),  # TSN's
        dtype="float32",
        name=f"{modality}_logits",
    )(x)
    return keras.Model({modality: clips}, logits, name=f"{modality}_stream")


def fuse(spatial, temporal, *, weights=(1, 3), layer="lambda", on="probabilities"):
    """Fuses two trained streams (section 4.3.3): the average of their probabilities, 1 : 3.

    Args:
        spatial, temporal: keras.Model, the streams that `build` makes, of the same classes.
        weights: (spatial, temporal), >= 0; divided by their sum.
        layer, on: `fusion_layer` and `fusion_on` of `build`.

    Returns:
        keras.Model "two_stream", from {"rgb", "flow"} clips to float32 logits (B, N).

    Raises:
        ValueError: if the streams have other classes, or an option is outside its range.
    """
    return fuse_streams(spatial, temporal, weights=weights, normalize=True, layer=layer, on=on)


def attention_model(stream):
    """What a stream looks at, beside what it says; with the stream's own weights.

    Args:
        stream: keras.Model "rgb_stream" or "flow_stream", `two_stream.get_layer("rgb_stream")` for
            instance.

    Returns:
        keras.Model from the stream's clips to a dict of float32 "logits" (B, N), "temporal_scores"
        (B, T), which sum to 1 over T, and "spatial_scores" (B, T, h, w, J), which sum to 1 over
        the cells of a frame.

    Raises:
        ValueError: if `stream` is no such model.
    """
    if stream.name not in ("rgb_stream", "flow_stream"):
        raise ValueError(
            "`stream` must be an 'rgb_stream' or a 'flow_stream'; a two-stream model gives them by "
            f"`get_layer`. Received: {stream.name!r}"
        )
    (modality,) = stream.input
    pools = {"temporal": f"{modality}_t_pool", "spatial": f"{modality}_s_pool"}
    outputs = {"logits": stream.output}
    for kind, name in pools.items():
        pool = stream.get_layer(name)
        _, logits = pool.input
        outputs[f"{kind}_scores"] = pool.scores(logits)
    return keras.Model(stream.input, outputs, name=f"{modality}_attention")


def temporal_feature(mapped, clips, modality, hidden, mode):
    """Equations 2 and 3: x' (B * T, h, w, D) of clips (B, T, ...) to f_t (B, 1, D).

    A frame is the mean over its cells [T9]. The convolution's bias means nothing to the softmax.
    """
    frames = layers.GlobalAveragePooling2D(name=f"{modality}_t_mean")(mapped)
    frames = UnfoldSegments(name=f"{modality}_t_frames")(frames, clips)  # (B, T, D)
    scores = layers.Conv1D(hidden, 1, name=f"{modality}_t_conv")(frames)
    if mode == "scalar":
        scores = layers.ReLU(name=f"{modality}_t_relu")(scores)
        scores = layers.Conv1D(1, 1, name=f"{modality}_t_score")(scores)
    pool_mode = "channel" if mode == "channel" else "mean"
    f_t = TemporalAttentionPool(pool_mode, name=f"{modality}_t_pool")(frames, scores)
    return layers.Reshape((1, mapped.shape[-1]), name=f"{modality}_t_feature")(f_t)


def spatial_scores(x, name, bn_momentum):
    """Equations 4 and 5: X (B * T, h, w, C) to one model's scores s (B * T, h, w, 1).

    Padding gives every cell a score [T13]; normalisation stands before the tanh, and the last one's
    shift means nothing to the softmax [T14].
    """

    def norm(part):
        return layers.BatchNormalization(
            momentum=bn_momentum, epsilon=EPSILON, name=f"{name}_{part}"
        )

    x = norm("bn1")(layers.Conv2D(x.shape[-1] // 2, 1, name=f"{name}_conv1")(x))
    x = layers.Activation("tanh", name=f"{name}_tanh")(x)
    return norm("bn2")(layers.Conv2D(1, 5, padding="same", name=f"{name}_conv2")(x))


def _centred(frames, modality):
    """uint8 to what BN-Inception was trained on: the mean of ImageNet, or no motion, is 0."""
    means = RGB_MEANS if modality == "rgb" else [FLOW_ZERO]
    offset = [-float(mean) for mean in means]
    return layers.Rescaling(1.0, offset=offset, dtype="float32", name=f"{modality}_centre")(frames)


def _check(num_classes, clip, num_spatial, map_dim, temporal_hidden, temporal_mode, dropout):
    if clip.frames_per_segment != 1:
        raise ValueError(
            "tstam takes one frame or one flow stack per segment. "
            f"Received: clip.frames_per_segment={clip.frames_per_segment}"
        )
    if clip.size % 32:
        raise ValueError(
            f"`clip.size` must be a multiple of 32 px. Received: clip.size={clip.size}"
        )
    counts = {
        "num_classes": num_classes,
        "num_spatial": num_spatial,
        "map_dim": map_dim,
        "temporal_hidden": temporal_hidden,
    }
    check_counts(**counts)
    check_choices({"temporal_mode": TEMPORAL_MODES}, temporal_mode=temporal_mode)
    if temporal_mode == "channel" and map_dim != temporal_hidden:
        raise ValueError(
            "temporal_mode='channel' weights each feature by its own channel, so `map_dim` must be "
            f"`temporal_hidden`. Received: map_dim={map_dim}, temporal_hidden={temporal_hidden}"
        )
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
