"""Puts the finishing of clips before a model, so that the devices do it that train the model."""

import keras

EXTRA = {"sides": ((2,), "int32"), "draws": ((6,), "float32")}  # inputs beside the crops


class Finish(keras.layers.Layer):
    """A function of a batch as a layer without weights; float32 under mixed precision too."""

    def __init__(self, function, **options):
        super().__init__(dtype="float32", autocast=False, trainable=False, **options)
        self.function = function

    def call(self, batch):
        return self.function(batch)


def with_finishing(model, function):
    """A model that takes what the input pipeline hands over, and shares all weights with `model`.

    Args:
        model: keras.Model from a dict of "rgb" and/or "flow" clips.
        function: of a batch of crops (`vidrec.pipeline.finishing`) to such clips; or None.

    Returns:
        keras.Model; `model` itself if `function` is None.
    """
    if function is None:
        return model
    shapes = {
        name: (clip.shape[1], None, None, 3)
        if name == "rgb"
        else (clip.shape[1], clip.shape[-1], None, None)
        for name, clip in model.input.items()
    }
    inputs = {name: keras.Input(shape, dtype="uint8", name=name) for name, shape in shapes.items()}
    for name, (shape, dtype) in EXTRA.items():
        inputs[name] = keras.Input(shape, dtype=dtype, name=name)
    clips = Finish(function, name="finish")(inputs)
    return keras.Model(inputs, model(clips), name=f"{model.name}_with_finishing")
