"""Networks of keras.applications with their weights: downloaded, from a file, or random."""

from pathlib import Path


def with_weights(build, weights, url):
    """A network with weights.

    Args:
        build: function of the keyword `weights`, as keras.applications has them, to a keras.Model.
        weights: None for random, "imagenet" to download them, or the path of a weight file.
        url: str, where the download comes from, for the message.

    Returns:
        keras.Model.

    Raises:
        FileNotFoundError: if `weights` is a path and there is no such file.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet' or the path of a weight file that is there. "
            f"Received: weights={str(weights)!r}"
        )
    try:
        return build(weights=None if weights is None else str(weights))
    except Exception as error:
        if weights != "imagenet":
            raise
        raise RuntimeError(
            "weights='imagenet' could not be downloaded by keras.applications "
            f"({type(error).__name__}: {error}). On a machine without internet access, fetch "
            f"{url} elsewhere and pass its path as `weights`; or train from random weights with "
            "weights=None."
        ) from error
