"""Weighted late fusion of stream scores (Qiao et al. 2021, section 3.5).

The paper multiplies each stream's scores by its weight in a Keras Lambda layer and adds them.
"""

import keras
from keras import layers

FUSION_LAYERS = ("lambda", "rescaling")


@keras.saving.register_keras_serializable(package="vidrec")
def scale_scores(scores, weight):
    """The Lambda's function. Named and registered, so that safe loading accepts it."""
    return scores * weight


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
    if layer == "lambda":
        return layers.Lambda(
            scale_scores,
            output_shape=tuple(scores.shape[1:]),
            arguments={"weight": float(weight)},
            dtype="float32",
            name=name,
        )(scores)
    if layer == "rescaling":
        return layers.Rescaling(float(weight), dtype="float32", name=name)(scores)
    raise ValueError(
        f"`fusion_layer` must be one of {FUSION_LAYERS}. Received: fusion_layer={layer!r}"
    )
