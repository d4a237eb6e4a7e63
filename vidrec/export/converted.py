"""A model in a file of another runtime, beside the Keras model that it was made of.

Axis letters: B batch, T frames, H W pixels, C channels, N classes.
"""

import dataclasses

import numpy as np

TOLERANCE = 1e-3  # of the largest logit, if that is over 1; about 1e-6 is seen, from sums' order


@dataclasses.dataclass(frozen=True)
class Converted:
    """What a file is worth.

    Attributes:
        size: int, bytes.
        clips: int, on how many it was compared.
        difference: float, the largest difference of a logit from the Keras model's, in parts of the
            largest logit where that is over 1.
        same_class: float, the share of clips that both give the same class.
    """

    size: int
    clips: int
    difference: float
    same_class: float

    def __str__(self):
        return (
            f"{self.size / 1e6:.1f} MB, logits within {self.difference:.1e} of the Keras model's "
            f"and the same class for {self.same_class:.0%} of {self.clips} clips"
        )


def logits_apart(ours, theirs):
    """The largest difference of logits (B, N), float, in parts of the largest of ours where that is
    over 1: of a logit of 1000, float32 knows no 1e-4. NaN if there is one."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(theirs - ours).max() / np.maximum(np.abs(ours).max(), 1.0))


def cannot_convert(model, what, path):
    """The RuntimeError that says so; `what` is the runtime, and why."""
    return RuntimeError(
        f"{model.name!r} cannot be converted to {what}. Nothing was written to {path}. The "
        "SavedModel that `vidrec export` writes has all operations of TensorFlow."
    )


def check_precision(model):
    """Refuses a model that computes in 16 bits, which other runtimes do otherwise or not at all.

    Raises:
        ValueError: if a layer does.
    """
    low = {layer.compute_dtype for layer in model._flatten_layers()} & {"float16", "bfloat16"}
    if low:
        raise ValueError(
            f"`model` must compute in float32. Received: layers of {sorted(low)}. Build it with "
            "the dtype policy 'float32' and load its weights, which are float32 already."
        )


def clips_of(model, clips):
    """Those of the clips that a model takes.

    Args:
        model: keras.Model from a dict of clips.
        clips: dict of uint8 (B, T, H, W, C), at least one of each modality of the model.

    Returns:
        The same dict without other modalities.

    Raises:
        ValueError: if the model does not take them.
    """
    wanted = {name: tuple(x.shape) for name, x in model.input.items()}
    found = {name: np.asarray(clips[name]) for name in wanted if name in clips}
    counts = {len(clip) for clip in found.values() if clip.ndim}
    fit = found.keys() == wanted.keys() and len(counts) == 1 and 0 not in counts
    if not fit or not all(_fits(clip, wanted[name]) for name, clip in found.items()):
        received = {name: (str(np.asarray(x).dtype), np.shape(x)) for name, x in clips.items()}
        raise ValueError(
            f"`clips` must be uint8 of shapes {wanted}, None being any length, and as many of "
            f"each. Received: {received}"
        )
    return found


def compare(model, run, clips, *, size):
    """Runs a converted model on clips, one at a time.

    Args:
        model: keras.Model that was converted.
        run: function from a dict of clips (1, T, H, W, C) to logits (1, N).
        clips: dict of uint8 (B, T, H, W, C), see `clips_of`.
        size: int, bytes of the file.

    Returns:
        Converted.
    """
    count = len(next(iter(clips.values())))
    singles = [{name: clip[[i]] for name, clip in clips.items()} for i in range(count)]
    ours = np.concatenate([model(clip, training=False) for clip in singles])
    theirs = np.concatenate([run(clip) for clip in singles])
    return Converted(
        size=size,
        clips=count,
        difference=logits_apart(ours, theirs),
        same_class=float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean()),
    )


def check_difference(converted, path, runtime):
    """Refuses a file that does not compute what the model does.

    Raises:
        RuntimeError: if the difference is over `TOLERANCE`.
    """
    if not converted.difference <= TOLERANCE:  # NaN also
        raise RuntimeError(
            f"In {runtime} the model differs from the Keras model by {converted.difference:.1e} in "
            f"a logit, more than {TOLERANCE:.0e}, and was not written to {path}."
        )


def _fits(clip, shape):
    same = all(size in (None, found) for size, found in zip(shape, clip.shape, strict=False))
    return clip.dtype == np.uint8 and clip.ndim == len(shape) and same
