"""A Keras model as a SavedModel that TensorFlow alone can load and run.

Keras' own export stores every variable twice; here one module holds the model's variables and its
functions, so that the folder is about as large as the weights.
"""

import json
import shutil

import numpy as np
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.export.converted import logits_apart
from vidrec.export.video_graph import lacks_graph, views_of
from vidrec.files import new_folder, write_atomic

CLASSES, FACTS, CARD = "class_names.txt", "vidrec.json", "MODEL_CARD.md"
CLIPS, VIDEO = "serving_default", "frames"  # the signatures
TOLERANCE = 1e-4  # of the largest logit, if that is over 1; about 1e-6 is seen, from sums' order


class Servable(tf.Module):
    """The model's variables, the asset files, and the functions that serve.

    Attributes:
        functions: dict, by the names of the signatures.
    """

    def __init__(self, model, *, assets=(), recipe=None, compiled=False):
        super().__init__()
        self.weights = [weight.value for weight in model.weights]
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]
        self.functions = {CLIPS: _of_clips(model)}
        if recipe is not None and not lacks_graph(recipe):
            self.functions[VIDEO] = _of_video(self.functions[CLIPS], recipe, compiled)


def _of_clips(model):
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

    return serve


def _of_video(of_clips, recipe, compiled):
    spec = tf.TensorSpec([1, None, None, None, 3], tf.uint8, "video")

    @tf.function(input_signature=[spec])
    def serve(video):
        views = views_of(video[0], recipe, compiled=compiled)
        probabilities = recipe.probabilities(of_clips(views)["logits"])[None]
        return {
            "probabilities": tf.identity(probabilities, "probabilities"),
            "class_id": tf.argmax(probabilities, axis=-1, output_type=tf.int32, name="class_id"),
        }

    return serve


def export_savedmodel(
    model, folder, *, classes, facts, recipe=None, clips=(), card=None, compiled=False
):
    """Writes a SavedModel and checks that it gives what the Keras model gives.

    Its signature `serving_default` takes "rgb" and/or "flow", uint8 (B, T, H, W, C) as the model
    does, and gives "logits" and "probabilities", float32 (B, N), and "class_id", int32 (B,). Its
    signature `frames`, with a recipe, takes "video", uint8 (1, any number of frames, H, W, 3), RGB,
    makes the clips and their flow itself, and gives "probabilities" (1, N) and "class_id" (1,). Its
    assets are `class_names.txt`, one name a line, and `vidrec.json`.

    Args:
        model: keras.Model from a dict of clips to logits.
        folder: path; it appears by one rename and replaces one that is there.
        classes: sequence of N str.
        facts: JSON-able dict: how clips are made ("clip" as `ClipSpec` has it), where the weights
            come from.
        recipe: ClipRecipe, how clips are made of a video, or None. There is no `frames` either if
            it asks for flow that no graph can compute (`video_graph.lacks_graph`).
        clips: iterable of dicts of clips that both are compared on, beside a random one.
        card: function of the difference found to the text of `MODEL_CARD.md`, or None for no card.
        compiled: bool, whether XLA compiles the flow of `frames`. It needs a TensorFlow with XLA
            then, takes its time for each new size of video, and is faster after that.

    Returns:
        Largest difference of logits between the two, see `parity`.

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
        (source / CLASSES).write_text("\n".join(classes) + "\n", encoding="utf-8")
        (source / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        assets = [source / CLASSES, source / FACTS]
        servable = Servable(model, assets=assets, recipe=recipe, compiled=compiled)
        tf.saved_model.save(servable, str(partial), signatures=servable.functions)
        shutil.rmtree(source)
        spec = recipe.clip if recipe else ClipSpec(**facts.get("clip", {}))
        difference = parity(model, partial, random_clips(model, spec, 1), *clips)
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"The SavedModel differs from the Keras model by {difference:.1e} in a logit, more "
                f"than {TOLERANCE:.0e}, and was not written to {folder}."
            )
        if card is not None:
            write_atomic(partial / CARD, card(difference).encode())
    return difference


def parity(model, folder, *clips):
    """Largest difference of logits between a Keras model and its SavedModel, float: of the batches,
    the largest `converted.logits_apart`.

    Args:
        model: keras.Model, the one that was exported.
        folder: path of the SavedModel.
        *clips: dicts of uint8 (B, T, H, W, C).
    """
    loaded = tf.saved_model.load(str(folder))  # held: its variables die with it
    serve = loaded.signatures[CLIPS]
    found = []
    for batch in clips:
        served = serve(**{name: tf.constant(batch[name]) for name in model.input})["logits"]
        ours = model({name: batch[name] for name in model.input}, training=False)
        found.append(logits_apart(ours, served))
    return float(np.max(found))  # NaN if there is one


def random_clips(model, clip, count):
    """Clips that a model takes, of random pixels.

    Args:
        model: keras.Model from a dict of clips.
        clip: ClipSpec, which says how long a clip is where the model takes any.
        count: int, B.

    Returns:
        dict of uint8 (B, T, H, W, C).
    """
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, 256, (count, x.shape[1] or clip.frames, *x.shape[2:]), dtype=np.uint8)
        for name, x in model.input.items()
    }
