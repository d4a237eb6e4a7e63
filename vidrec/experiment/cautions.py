"""What a paper warns of, and an experiment does all the same."""

import warnings

from vidrec.models import registry


def caution(experiment, stream, videos):
    """Warns, once a stream, of what its paper found not to work.

    Args:
        experiment: config.Experiment.
        stream: str, one that is trained here.
        videos: DataFrame, rows of the index: n_frames, fps.
    """
    model = registry.get(experiment.model.name)
    longest = getattr(model, "LONGEST_VIDEO", None)
    if longest is not None:
        long = videos[videos.n_frames / videos.fps > longest]  # not where fps is unknown
        if len(long):
            _warn(
                f"{experiment.model.name} is for videos of up to {longest} s, says its paper: "
                f"{len(long)} are longer, {long.video_id.iloc[0]} for one"
            )
    options = experiment.model.options | experiment.streams[stream].options
    network = options.get("network", next(iter(getattr(model, "UNSTABLE_RATES", {})), None))
    limit = getattr(model, "UNSTABLE_RATES", {}).get(network)
    for stage in experiment.streams[stream].stages:
        if limit is not None and stage.schedule.rate >= limit:
            _warn(
                f"stage {stage.name} has a learning rate of {stage.schedule.rate:g}: the paper saw "
                f"{network} end in NaN at {limit:g}"
            )


def _warn(text):
    warnings.warn(text, stacklevel=4)
