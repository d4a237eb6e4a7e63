"""An experiment as it is in its file but for its split, or for its test."""

from pathlib import PurePath

from vidrec.config.experiment import validated

KEPT = ("batch_size", "short_side", "resize", "each_epoch")  # of a test, by any protocol


def of_split(experiment, split):
    """The experiment on another split of its data set, as for the mean over three.

    Its runs have the split's name behind theirs, and so have those of the same classes that it
    takes, or starts from.

    Args:
        experiment: Experiment.
        split: str, the name, as "official-2"; that of the file changes nothing.

    Returns:
        Experiment.
    """
    if split == experiment.data.split.name:
        return experiment
    content = experiment.model_dump()
    content["name"] += f"_{split}"
    content["data"]["split"] = {"name": split, "seed": experiment.data.split.seed}
    for stream in content["streams"].values():
        init = stream["init"]
        if stream["run"]:
            stream["run"] = _run_of(stream["run"], split)
        if init["run"] and init["run"] not in content["streams"] and init["include_head"]:
            init["run"] = _run_of(init["run"], split)
    return validated(content, content["name"])


def _run_of(run, split):
    path = PurePath(run)
    if not path.parent.name:
        raise ValueError(
            f"A run must be <folder of runs>/<experiment>/<stream> to have one of another split. "
            f"Received: {run}"
        )
    return str(path.parent.with_name(f"{path.parent.name}_{split}") / path.name)


def of_protocol(experiment, protocol):
    """The experiment with the test of another paper; see `vidrec.config.protocols`.

    Raises:
        ValueError: if there is no such protocol, or it is not for such clips.
    """
    content = experiment.model_dump()
    kept = {key: content["evaluation"][key] for key in KEPT}
    content["evaluation"] = kept | {"protocol": protocol}
    return validated(content, f"{experiment.name} by protocol {protocol}")
