"""Networks of keras.applications with their weights: downloaded, from a file, or random."""

from pathlib import Path

from vidrec.models.weight_files import check_weights, fitting


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
        ValueError: if it is a path, and the file is damaged, not safe to read (`check_weights`),
            or of another network.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if weights is None:
        return build(weights=None)
    if weights != "imagenet":
        return _from_file(build, weights, url)
    try:
        return build(weights=weights)
    except Exception as error:
        raise RuntimeError(
            "weights='imagenet' could not be downloaded by keras.applications "
            f"({type(error).__name__}: {error}). On a machine without internet access, fetch "
            f"{url} elsewhere and pass its path as `weights`; or train from random weights with "
            "weights=None."
        ) from error


def _from_file(build, path, url):
    if not Path(path).is_file():
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet' or the path of a weight file that is there. "
            f"Received: weights={str(path)!r}"
        )
    check_weights(path)
    with fitting(
        "`weights` must be a file of this network of keras.applications without its top, as "
        f"{url} is. Another was given: weights={str(path)!r}."
    ):
        return build(weights=str(path))
