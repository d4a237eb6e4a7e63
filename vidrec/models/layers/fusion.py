"""Weighted late fusion of stream scores (Qiao et al. 2021, section 3.5).

The paper multiplies each stream's scores by its weight in a Keras Lambda layer and adds them. Axis
letters: B batch, N classes.
"""

import keras
from keras import layers, ops

from vidrec.clip import MODALITIES
from vidrec.models.layers.same_videos import SameVideos
from vidrec.models.options import check_choices

CHOICES = {"fusion_layer": ("lambda", "rescaling"), "fusion_on": ("scores", "probabilities")}
STREAMS = {"rgb": "spatial", "flow": "temporal"}  # the field's name of each modality's stream


def fuse_streams(spatial, temporal, *, weights, normalize=False, layer="lambda", on="scores"):
    """Fuses two trained streams: a weighted sum of their scores, without training.

    Args:
        spatial, temporal: keras.Model from {"rgb"} and from {"flow"} to logits (B, N).
        weights: (spatial, temporal), >= 0, not both 0.
        normalize: bool, divide the weights by their sum.
        layer: "lambda" or "rescaling", see `weight_scores`.
        on: "scores" sums logits; "probabilities" sums softmax outputs and gives the logarithm.

    Returns:
        keras.Model "two_stream", from {"rgb", "flow"} clips to float32 logits (B, N). A batch of
        one video beside a batch of several is refused, not broadcast.

    Raises:
        ValueError: if the streams do not go together, or an option is outside its range.
    """
    streams = dict(zip(MODALITIES, (spatial, temporal), strict=True))
    if any(list(stream.input) != [modality] for modality, stream in streams.items()):
        raise ValueError(
            "`spatial` must take 'rgb' and `temporal` 'flow'. "
            f"Received: {list(spatial.input)} and {list(temporal.input)}"
        )
    if spatial.output_shape != temporal.output_shape:
        raise ValueError(
            "`spatial` and `temporal` must have the same classes. "
            f"Received: outputs {spatial.output_shape} and {temporal.output_shape}"
        )
    if len(weights) != 2 or not min(weights) >= 0 or not sum(weights) > 0:
        raise ValueError(
            "The fusion's weights must be two numbers >= 0 that do not sum to 0. "
            f"Received: {tuple(weights)}"
        )
    check_choices(CHOICES, fusion_on=on)
    inputs, scores = {}, []
    total = sum(weights) if normalize else 1.0
    for (modality, stream), weight in zip(streams.items(), weights, strict=True):
        clips = stream.input[modality]
        inputs[modality] = keras.Input(clips.shape[1:], dtype="uint8", name=modality)
        score = stream({modality: inputs[modality]})
        if on == "probabilities":
            score = layers.Softmax(dtype="float32", name=f"{modality}_softmax")(score)
        name = f"{STREAMS[modality]}_weight"
        scores.append(weight_scores(score, weight / total, layer=layer, name=name))
    # Addition would broadcast a single video; stacking refuses, by the backend's own message.
    if layer == "lambda":
        stacked = SameVideos(dtype="float32", name="fusion_stack")(*scores)
    else:
        stacked = ops.stack(scores)  # built in, as the layers of the weights
    logits = ops.sum(stacked, axis=0)
    return keras.Model(inputs, log(logits) if on == "probabilities" else logits, name="two_stream")


def weight_scores(scores, weight, *, layer="lambda", name):
    """Multiplies scores (B, N) by a constant, in float32.

    Args:
        scores: tensor (B, N).
        weight: float.
        layer: "lambda", the paper's layer, which a saved model finds once vidrec is imported, or
            "rescaling", a built-in layer, with which it loads anywhere.
        name: str.

    Returns:
        float32 (B, N).

    Raises:
        ValueError: if `layer` is unknown.
    """
    check_choices(CHOICES, fusion_layer=layer)
    if layer == "lambda":
        return layers.Lambda(
            scale_scores,
            output_shape=tuple(scores.shape[1:]),
            arguments={"weight": float(weight)},
            dtype="float32",
            name=name,
        )(scores)
    return layers.Rescaling(float(weight), dtype="float32", name=name)(scores)


def log(probabilities):
    """Logits of probabilities, float32: their softmax is what it was given."""
    return ops.log(ops.maximum(probabilities, 1e-30))  # a float32 softmax can reach 0


@keras.saving.register_keras_serializable(package="vidrec")
def scale_scores(scores, weight):
    """The Lambda's function. Named and registered, so that safe loading accepts it."""
    return scores * weight
