"""Multi-segment two-stream Xception.

Qiao, Liu, Xu, Liu, Yang, "Two-Stream Convolutional Neural Network for Video Action Recognition",
KSII Trans. on Internet and Information Systems 15(10), 2021, doi 10.3837/tiis.2021.10.011.

    segment      uint8 -> [-1, 1] -> Xception -> average pool -> dropout 0.8 -> dense  (3.3)
    stream       the same network, with the same weights, per segment -> consensus     (3.4)
    two streams  1 x spatial scores + 1.5 x temporal scores                            (3.5)

The softmax stays in the loss and in the exported model. Axis letters: B batch, K segments, S pixels
of a side, L flow length, N classes.
"""

import keras
from keras import layers, ops

from vidrec.clip import ClipSpec
from vidrec.models.backbones.xception import xception
from vidrec.models.layers.consensus import merge_segments
from vidrec.models.layers.fusion import fuse_streams, log
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments
from vidrec.models.options import check_choices

DEFAULT_CLIP = ClipSpec(segments=3, size=224, flow_length=10)
BACKBONES = ("xception",)
LAST_MAPS = "block14_sepconv2_act"
CONSENSUS_ON = ("scores", "probabilities")


def build(
    num_classes,
    clip=DEFAULT_CLIP,
    *,
    weights=None,
    consensus="mean",
    segment_weights=None,
    consensus_on="scores",
    fold_segments=False,
    dropout=0.8,
    bn_momentum=0.99,
    fusion_weights=(1.0, 1.5),
    normalize_fusion=False,
    fusion_layer="lambda",
):
    """Builds the stream of one modality, or both streams with their fusion.

    Numbers in brackets are rows of the specification's decision table.

    Args:
        num_classes: int >= 1, N.
        clip: ClipSpec. Its modalities choose the model: ("rgb",) the spatial stream, ("flow",) the
            temporal stream, both the fused two-stream model.
        weights: None, "imagenet", or the path of an RGB Xception's weight file; the temporal stream
            takes them by cross-modality initialisation. Trained streams are put in with
            `fuse`.
        consensus: "mean", "max" or "weighted" (section 3.4.1) [5].
        segment_weights: for "weighted": K fixed numbers, or None to learn them [5].
        consensus_on: "scores" merges what the dense layer gives; "probabilities" puts a softmax
            before the consensus, and the logits are then the logarithm of the result [2].
        fold_segments: False calls the network once a segment, so that batch normalisation sees
            each segment apart, as the paper's multi-input model does. True folds the segments into
            the batch: faster, and any K at run time. At inference the two are equal [30].
        dropout: float in [0, 1), the share that is dropped [9].
        bn_momentum: float in [0, 1), of the moving statistics. Keras' 0.99 needs some 500 steps to
            forget where they started; runs on little data want 0.9.
        fusion_weights: (spatial, temporal) [3].
        normalize_fusion: bool, divide the weights by their sum [3].
        fusion_layer: "lambda", as in the paper, or "rescaling", whose saved model also loads where
            vidrec is not installed.

    Returns:
        keras.Model named "rgb_stream", "flow_stream" or "two_stream", from a dict of "rgb" uint8
        (B, K, S, S, 3) and/or "flow" uint8 (B, K, S, S, 2L) to float32 logits (B, N).

    Raises:
        ValueError: if an option is unknown or outside its range, S is less than 71, or
            frames_per_segment is not 1.
        FileNotFoundError, RuntimeError: if `weights` are not there, or cannot be downloaded.
    """
    if clip.frames_per_segment != 1:
        raise ValueError(
            "multiseg_xception takes one frame or one flow stack per segment. "
            f"Received: clip.frames_per_segment={clip.frames_per_segment}"
        )
    if num_classes < 1 or not 0 <= dropout < 1:
        raise ValueError(
            "`num_classes` must be at least 1 and `dropout` in [0, 1). "
            f"Received: num_classes={num_classes}, dropout={dropout}"
        )
    check_choices({"consensus_on": CONSENSUS_ON}, consensus_on=consensus_on)
    if len(clip.modalities) == 2:
        stream_options = {
            "weights": weights,
            "consensus": consensus,
            "segment_weights": segment_weights,
            "consensus_on": consensus_on,
            "fold_segments": fold_segments,
            "dropout": dropout,
            "bn_momentum": bn_momentum,
        }
        streams = [build(num_classes, clip.only(m), **stream_options) for m in clip.modalities]
        return fuse(
            *streams,
            weights=fusion_weights,
            normalize=normalize_fusion,
            layer=fusion_layer,
            on=consensus_on,
        )
    (modality,) = clip.modalities
    segments, size, _, channels = clip.shape(modality)
    dynamic = fold_segments and consensus != "weighted"
    clips = keras.Input(
        (None if dynamic else segments, size, size, channels), dtype="uint8", name=modality
    )
    network = segment_net(
        modality,
        num_classes,
        size,
        channels,
        weights=weights,
        dropout=dropout,
        bn_momentum=bn_momentum,
        softmax=consensus_on == "probabilities",
    )
    logits = merge_segments(
        _share(network, clips, fold_segments),
        consensus,
        segment_weights=segment_weights,
        name=f"{modality}_consensus",
    )
    if consensus_on == "probabilities":
        logits = log(logits)
    return keras.Model({modality: clips}, logits, name=f"{modality}_stream")


def fuse(spatial, temporal, *, weights=(1.0, 1.5), normalize=False, layer="lambda", on="scores"):
    """Fuses two trained streams (section 3.5): a weighted sum of their scores, without training.

    Args:
        spatial, temporal: keras.Model, the streams that `build` makes, of the same classes.
        weights: (spatial, temporal).
        normalize: bool, divide the weights by their sum.
        layer: "lambda" or "rescaling", see `build`.
        on: "scores" sums logits; "probabilities" sums softmax outputs and gives the logarithm.

    Returns:
        keras.Model "two_stream", from {"rgb", "flow"} clips to float32 logits (B, N).

    Raises:
        ValueError: if the streams have different numbers of classes, or do not go together.
    """
    return fuse_streams(spatial, temporal, weights=weights, normalize=normalize, layer=layer, on=on)


def segment_net(
    modality,
    num_classes,
    size,
    channels,
    *,
    weights=None,
    dropout=0.8,
    bn_momentum=0.99,
    softmax=False,
):
    """The network of one segment (sections 3.3, 3.3.2): uint8 (B, S, S, C) to scores (B, N).

    Args:
        modality: "rgb" or "flow", the prefix of the layers' names.
        num_classes, size, channels: int.
        weights, dropout, bn_momentum: see `build`.
        softmax: bool, end with probabilities.

    Returns:
        keras.Model named "<modality>_segment_net"; the paper's 21,068,429 parameters for RGB with
        101 classes.
    """
    base = xception(
        size, channels, weights=weights, bn_momentum=bn_momentum, name=f"{modality}_xception"
    )
    segment = keras.Input((size, size, channels), dtype="uint8", name=f"{modality}_segment")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name=f"{modality}_rescale")(segment)
    x = base(x)
    x = layers.GlobalAveragePooling2D(name=f"{modality}_gap")(x)
    x = layers.Dropout(dropout, name=f"{modality}_dropout")(x)
    x = layers.Dense(num_classes, name=f"{modality}_logits")(x)
    if softmax:
        x = layers.Softmax(dtype="float32", name=f"{modality}_probabilities")(x)
    return keras.Model(segment, x, name=f"{modality}_segment_net")


def _share(network, clips, fold):
    """One network over all segments: a list of K scores (B, N), or folded, (B, K, N)."""
    if fold:
        return UnfoldSegments(name="unfold")(network(FoldSegments(name="fold")(clips)), clips)
    return [network(segment) for segment in ops.unstack(clips, clips.shape[1], axis=1)]
