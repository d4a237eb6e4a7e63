"""VCM-SDD: attention by place over a clip's grid cells, then of RGB and flow on each other.

Gong and Li, "A Video Classification Method Based on Spatiotemporal Detail Attention and Feature
Fusion", Mathematical Problems in Engineering, 2022. A video has K segments of T = 6 frames; of each
segment, with N = T h w = 294 grid cells of D = 2048 features at 224 px:

    F_conv     ResNet-101 of each frame, or of each flow stack       (T, 7, 7, D)     eq. 1, 2
    geometry   g = -log of distances in width, height, time          (N, N, 3)        eq. 3 to 6
    STC        s = softmax over neighbours of relu(g W_p) W_g        (N, N)           eq. 7, 8
               F_fusion = s F_conv, of each modality                 (T, 7, 7, D)     eq. 9, 10
    MFF        L = R F^T of each of 8 heads; R: RGB's F_fusion,      (8, N, N)
               F_att_rgb = softmax(L / sqrt |L|) F      F: flow's    (T, 7, 7, D)     eq. 11
               F_att_flow = softmax(L^T / sqrt |L|) R                (T, 7, 7, D)     eq. 12
    avg_F      mean over frames and cells                            (D,)             eq. 14
    M          dense, for each modality                              (classes,)       eq. 14
    AVG        mean over both modalities and all segments            (classes,)       eq. 13, 14

The softmax stays in the loss and in the exported model. STC knows where a cell is, never what it
shows: it is a learnt smoothing kernel, and the only part in which the order of frames counts.
Without STC and MFF this is a temporal segment network of two streams. Numbers in brackets below are
rows of the specification's decision table. Axis letters: B batch, K segments, T frames of one
segment, S pixels of a side, h w cells, L flow length, C channels, D features.
"""

import functools
import inspect

import keras
from keras import layers, ops

from vidrec.clip import MODALITIES, ClipSpec
from vidrec.models.backbones.resnet101 import BLOCKS, normalization, resnet101
from vidrec.models.layers.clip_segments import CutSegments
from vidrec.models.layers.cross_modal_attention import CrossModalAttention
from vidrec.models.layers.fusion import log
from vidrec.models.layers.grid_graph_attention import GridGraphAttention
from vidrec.models.layers.same_videos import SameVideos
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments
from vidrec.models.options import check_choices, check_counts

DEFAULT_CLIP = ClipSpec(
    segments=1, frames_per_segment=6, size=224, flow_length=5, flow_position="centre"
)
BACKBONES = ("backbone",)
LAST_MAPS = "rgb_features"
CHOICES = {"fuse": ("logits", "probs"), "flow_init": ("mean_rgb", "random")}


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    stc=True,
    mff=True,
    num_heads=8,
    attn_scale="fro",
    geom_eps=1e-3,
    radius=2,
    neighbourhood="chebyshev",
    self_loops=True,
    stc_residual=False,
    share_geometry=False,
    shared_head=False,
    mff_residual=False,
    mff_projections=False,
    literal_eq12=False,
    fuse="logits",
    flow_init="mean_rgb",
    stride_in_3x3=True,
    bn_momentum=0.9,
    blocks=BLOCKS,
    width=1.0,
):
    """Builds the network of both modalities, which is trained as a whole.

    Args:
        num_classes: int >= 1.
        clip: ClipSpec of both modalities; `frames_per_segment` is T of equations 5 and 14 [V4],
            `flow_length` 5 gives flow 10 channels [V21]. The number of segments is left open: a
            model trained on one of each video is tested on 8 or 16 [V25].
        weights: None; the path of a `.npz` of `preprocessing/convert_resnet101.py`; or, with
            stride_in_3x3=False, "imagenet" or the path of an `.h5` of keras.applications [V23].
        stc: bool, attention by place, equations 6 to 10. Its options are `geom_eps` to
            `share_geometry`; without it they must be left as they are.
        mff: bool, attention of the modalities on each other, equations 11 and 12. Its options are
            `num_heads`, `attn_scale` and `mff_residual` to `literal_eq12`; likewise.
        num_heads: int >= 1, divides D [V14].
        attn_scale: "fro", the square root of the score matrix's Frobenius norm; "sqrt_dim", that of
            a head's features, with which attention is less even [V12].
        geom_eps: float > 0, e of equation 6 [V2].
        radius: int >= 1, how far neighbours are at most, in cells and frames [V6, V7].
        neighbourhood: "chebyshev", each axis for itself, "euclidean" or "manhattan" [V6].
        self_loops: bool, whether a cell is its own neighbour [V5].
        stc_residual: bool, F_conv is added to F_fusion [V9].
        share_geometry: bool, one W_p and W_g for both modalities [V8].
        shared_head: bool, one M for both modalities [V18].
        mff_residual: bool, R is added to F_att_rgb, F to F_att_flow [V16].
        mff_projections: bool, learnt queries, keys, values and results [V15].
        literal_eq12: bool, L itself in equation 12, as it is printed [V13].
        fuse: "logits", or "probs", whose mean's logarithm then are the logits [V19].
        flow_init: "mean_rgb", the flow backbone takes `weights` with the first kernel averaged over
            RGB; "random", it takes none [V32].
        stride_in_3x3: bool, torchvision's ResNet-101, whose 46.8 GMAC the paper quotes, or that of
            keras.applications; each with its own normalisation of images [V23, V33].
        bn_momentum: float in [0, 1), of the moving statistics.
        blocks, width: of the backbones, see `resnet101`; D = 2048 width. For small data and tests.

    Returns:
        keras.Model "vcm_sdd", from a dict of "rgb" uint8 (B, K T, S, S, 3) and "flow" uint8
        (B, K T, S, S, 2L), any K, to float32 logits (B, num_classes). Clips of other lengths, and
        modalities of unlike numbers of videos or frames, are refused when the model is called.

    Raises:
        ValueError: if an option is unknown, outside its range or of a part that is off, or the
            clip or `weights` do not fit.
        FileNotFoundError, RuntimeError: if `weights` are not there, or cannot be downloaded.
    """
    _check(num_classes, clip, fuse, flow_init)
    _check_unused(
        "stc",
        stc,
        geom_eps=geom_eps,
        radius=radius,
        neighbourhood=neighbourhood,
        self_loops=self_loops,
        stc_residual=stc_residual,
        share_geometry=share_geometry,
    )
    _check_unused(
        "mff",
        mff,
        num_heads=num_heads,
        attn_scale=attn_scale,
        mff_residual=mff_residual,
        mff_projections=mff_projections,
        literal_eq12=literal_eq12,
    )
    inputs = {
        modality: keras.Input((None, *clip.shape(modality)[1:]), dtype="uint8", name=modality)
        for modality in MODALITIES
    }
    cut = CutSegments(clip.frames_per_segment, name="segments")
    clips = dict(zip(MODALITIES, cut(*inputs.values()), strict=True))  # (B, K, T, S, S, C)

    features = {}
    for modality in MODALITIES:
        backbone = resnet101(
            clip.size,
            clip.channels(modality),
            stride_in_3x3=stride_in_3x3,
            weights=None if (modality, flow_init) == ("flow", "random") else weights,
            blocks=blocks,
            width=width,
            bn_momentum=bn_momentum,
            name=f"{modality}_backbone",
        )
        scale, offset = normalization(modality, stride_in_3x3=stride_in_3x3)
        normalize = layers.Rescaling(
            scale, offset=offset, dtype="float32", name=f"{modality}_normalize"
        )
        segments = FoldSegments(name=f"{modality}_fold")(clips[modality])  # (B * K, T, S, S, C)
        frames = FoldSegments(name=f"{modality}_fold_frames")(segments)  # (B * K * T, S, S, C)
        maps = backbone(normalize(frames))  # eq. 1, 2: (B * K * T, h, w, D)
        features[modality] = UnfoldSegments(name=f"{modality}_features")(maps, segments)

    if stc:  # eq. 6 to 10: (B * K, T, h, w, D) as before
        place = functools.partial(
            GridGraphAttention,
            geom_eps,
            radius,
            neighbourhood,
            self_loops,
            stc_residual,
            return_attention=True,
        )
        for modality, attend in _for_each(place, "stc", shared=share_geometry).items():
            features[modality], _ = attend(features[modality])
    if mff:  # eq. 11, 12
        layer = CrossModalAttention(
            num_heads,
            attn_scale,
            literal_eq12,
            mff_residual,
            mff_projections,
            return_attention=True,
            name="mff",
        )
        features["rgb"], features["flow"], *_ = layer(features["rgb"], features["flow"])

    scores = []
    dense = functools.partial(layers.Dense, num_classes, dtype="float32")
    for modality, head in _for_each(dense, "head", shared=shared_head).items():
        average = layers.GlobalAveragePooling3D(dtype="float32", name=f"{modality}_avg")
        unfold = UnfoldSegments(dtype="float32", name=f"{modality}_scores")
        x = head(average(features[modality]))
        scores.append(unfold(x, clips[modality]))  # (B, K, num_classes)
    scores = SameVideos(dtype="float32", name="scores")(*scores)  # (2, B, K, num_classes)
    if fuse == "logits":
        logits = ops.mean(scores, axis=(0, 2))
    else:
        probabilities = layers.Softmax(dtype="float32", name="probabilities")(scores)
        logits = log(ops.mean(probabilities, axis=(0, 2)))
    return keras.Model(inputs, logits, name="vcm_sdd")


def attention_model(model):
    """What a model looks at, beside what it says; with the model's own weights.

    Args:
        model: keras.Model "vcm_sdd" with `stc` or `mff`.

    Returns:
        keras.Model from the model's clips to a dict of float32 "logits" (B, num_classes) and, as
        far as the model has them, for each modality
            "rgb_stc" (B, N, N), what each cell takes from which other, the same for all clips,
            "rgb_mff" (B * K, heads, N, N), what each RGB cell takes from which flow cell,
        "flow_stc" and "flow_mff" likewise; and with "_entropy" behind these names the entropies of
        their rows in nats, of shapes (B, N) and (B * K, heads, N), at most log N.

    Raises:
        ValueError: if `model` is no such model.
    """
    names = {layer.name for layer in model.layers}
    if model.name != "vcm_sdd" or not names & {"stc", "rgb_stc", "mff"}:
        without = " with neither" if model.name == "vcm_sdd" else ""
        raise ValueError(
            f"`model` must be a 'vcm_sdd' with `stc` or `mff`. Received: {model.name!r}{without}"
        )
    found, zeros = {}, ops.zeros_like(model.output[:, :1, None])  # (B, 1, 1)
    for modality in MODALITIES:
        name = "stc" if "stc" in names else f"{modality}_stc"
        if name in names:
            _, shares = model.get_layer(name).output
            found[f"{modality}_stc"] = zeros + shares  # repeated, so that `predict` joins batches
    if "mff" in names:
        _, _, found["rgb_mff"], found["flow_mff"] = model.get_layer("mff").output
    entropies = {f"{name}_entropy": _entropy(shares) for name, shares in found.items()}
    outputs = {"logits": model.output, **found, **entropies}
    return keras.Model(model.input, outputs, name="vcm_sdd_attention")


def _entropy(shares):
    return -ops.sum(shares * ops.log(ops.maximum(shares, 1e-30)), axis=-1)


def _for_each(make, part, *, shared):
    """A layer for each modality, or one for both: {modality: layer}."""
    if shared:
        return dict.fromkeys(MODALITIES, make(name=part))
    return {modality: make(name=f"{modality}_{part}") for modality in MODALITIES}


def _check(num_classes, clip, fuse, flow_init):
    check_counts(num_classes=num_classes)
    if clip.modalities != MODALITIES:
        raise ValueError(
            "vcm_sdd takes both modalities, ('rgb', 'flow'). "
            f"Received: clip.modalities={clip.modalities}"
        )
    if clip.size < 32:
        raise ValueError(f"`clip.size` must be at least 32 px. Received: clip.size={clip.size}")
    check_choices(CHOICES, fuse=fuse, flow_init=flow_init)


def _check_unused(part, used, **options):
    """Refuses options of a part that is off, but for their defaults."""
    for name, value in options.items():
        default = inspect.signature(build).parameters[name].default
        if not used and value != default:
            raise ValueError(
                f"`{name}` is of no use with {part}=False and must be {default!r}. "
                f"Received: {name}={value!r}"
            )
