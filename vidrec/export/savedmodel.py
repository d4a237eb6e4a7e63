"""A Keras model as a SavedModel that TensorFlow alone can load and run.

Keras' own export stores every variable twice; here one module holds the model's variables and one
function, so that the folder is about as large as the weights.
"""

import json
import shutil

import numpy as np
import tensorflow as tf

from vidrec.files import new_folder

CLASSES, FACTS = "class_names.txt", "vidrec.json"
SEGMENTS = 3  # of the random clip, where a model takes any number
TOLERANCE = 1e-3  # of a logit; about 1e-5 is seen, from the order of sums


class _Servable(tf.Module):
    """The model's variables, the asset files, and the function that serves."""

    def __init__(self, model, assets):
        super().__init__()
        self.weights = [weight.value for weight in model.weights]
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]
        specs = {
            name: tf.TensorSpec(tensor.shape, tf.as_dtype(tensor.dtype), name)
            for name, tensor in model.input.items()
        }

        @tf.function(input_signature=[specs])
        def serve(clip):
            logits = model(clip, training=False)
            return {
                "logits": tf.identity(logits, "logits"),
                "probabilities": tf.nn.softmax(logits, name="probabilities"),
                "class_id": tf.argmax(logits, axis=-1, output_type=tf.int32, name="class_id"),
            }

        self.serve = serve


def export_savedmodel(model, folder, *, classes, facts):
    """Writes a SavedModel and checks that it gives what the Keras model gives.

    Its signature `serving_default` takes "rgb" and/or "flow", uint8 (B, T, H, W, C) as the model
    does, and gives "logits" and "probabilities", float32 (B, N), and "class_id", int32 (B,). Its
    assets are `class_names.txt`, one name a line, and `vidrec.json`.

    Args:
        model: keras.Model from a dict of clips to logits.
        folder: path; it appears by one rename and replaces one that is there.
        classes: sequence of N str.
        facts: JSON-able dict: how clips are made ("clip" as `ClipSpec` has it), where the weights
            come from.

    Returns:
        Largest absolute difference of logits between the two, on a random clip.

    Raises:
        ValueError: if the number of classes is not N.
        RuntimeError: if that difference is over `TOLERANCE`; nothing is written then.
    """
    if len(classes) != model.output_shape[-1]:
        raise ValueError(
            f"`classes` must name the model's {model.output_shape[-1]} outputs. "
            f"Received: {len(classes)} names"
        )
    with new_folder(folder) as partial:
        source = partial / "source"  # tf.saved_model.save copies the assets from here
        source.mkdir()
        (source / CLASSES).write_text("\n".join(classes) + "\n")
        (source / FACTS).write_text(json.dumps(facts, indent=1))
        servable = _Servable(model, [source / CLASSES, source / FACTS])
        tf.saved_model.save(servable, str(partial), signatures={"serving_default": servable.serve})
        shutil.rmtree(source)
        open_length = SEGMENTS * facts.get("clip", {}).get("frames_per_segment", 1)
        difference = parity(model, partial, _random_clip(model, open_length))
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"The SavedModel differs from the Keras model by {difference:.1e} in a logit, more "
                f"than {TOLERANCE:.0e}, and was not written to {folder}."
            )
    return difference


def parity(model, folder, clips):
    """Largest absolute difference of logits between a Keras model and its SavedModel.

    Args:
        model: keras.Model, the one that was exported.
        folder: path of the SavedModel.
        clips: dict of uint8 (B, T, H, W, C).
    """
    loaded = tf.saved_model.load(str(folder))  # held: its variables die with it
    served = loaded.signatures["serving_default"](**{k: tf.constant(v) for k, v in clips.items()})
    return float(tf.reduce_max(tf.abs(served["logits"] - model(clips, training=False))))


def _random_clip(model, open_length):
    """A batch of one; a time axis that is open gets so many frames."""
    rng = np.random.default_rng(0)
    shapes = {
        n: [1, *(size or open_length for size in x.shape[1:])] for n, x in model.input.items()
    }
    return {name: rng.integers(0, 256, shape, dtype=np.uint8) for name, shape in shapes.items()}
