"""What is wrong with how a stream was trained, or is tested."""

import keras
import numpy as np

from vidrec.config.protocols import PROTOCOLS
from vidrec.experiment import clips
from vidrec.experiment.diagnosis.finding import Finding

OF_MODELS = {  # the protocols of their papers
    "multiseg_xception": ("three-draws",),
    "deep_fusion_tpn": ("24-frames",),
    "vcm_sdd": ("8-segments", "16-segments"),
    "hst": ("centre",),
    "conv3d_baselines": ("centre", "dense-clips"),
    "tstam": ("25-frames-10-crops",),
}
CLIPS, BATCH = 48, 12  # training clips that are looked at with and without moving statistics
APART = 0.15  # of accuracies
LITTLE = 0.1  # of the way from chance to 100 %, training accuracy: nothing was learnt
RISING = 0.03  # training accuracy, from a fifth of the epochs to the next
SEEN, UNSEEN = 0.95, 0.3  # training accuracy, and how much lower that of the test is


def protocol_findings(experiment):
    """Findings of an experiment's test, config.Experiment."""
    wanted = [PROTOCOLS[name] for name in OF_MODELS[experiment.model.name]]
    own = experiment.evaluation.model_dump()
    if not any(all(own[key] == value for key, value in one.settings.items()) for one in wanted):
        names = " or ".join(OF_MODELS[experiment.model.name])
        other = {k: own[k] for k, value in wanted[0].settings.items() if own[k] != value}
        yield Finding(
            how="maybe",
            cause="the test is not that of the paper",
            seen=f"evaluation has {other}; the paper's: {wanted[0].says}",
            advice=f"vidrec evaluate --protocol {names.split(' or ')[0]} ({names})",
        )
    scaled = experiment.evaluation.resize or [experiment.evaluation.short_side or 0]
    trained_at = experiment.augment.resize or [0]
    ratio = min(scaled) / max(min(trained_at), 1)
    if min(scaled) and min(trained_at) and not 0.75 < ratio < 1.34:
        yield Finding(
            how="likely",
            cause="the test's images are scaled otherwise than those of training",
            seen=f"evaluation scales to {scaled}, augment to {trained_at}",
            advice="give evaluation.resize and augment.resize the same size",
        )


def learning_findings(classes, log, summary):
    """Findings of how a stream was trained.

    The loss of a log holds the weights' penalty too, so accuracy says whether anything was learnt.

    Args:
        classes: int, N.
        log: DataFrame of its epochs.
        summary: the row of its evaluation, or None.

    Yields:
        Finding.
    """
    if not len(log) or classes < 2:
        return
    last, chance = log.iloc[-1], 1 / classes
    guesses = last.accuracy < chance + LITTLE * (1 - chance)
    rates = f"the rate was {log.learning_rate.min():g} to {log.learning_rate.max():g}"
    if not np.isfinite(log.loss).all() or (guesses and last.loss > 2 * log.loss.iloc[0]):
        yield Finding(
            how="sure",
            cause="training diverged: the learning rate is too high",
            seen=f"the loss went from {log.loss.iloc[0]:.3g} to {last.loss:.3g}; {rates}",
            advice="a tenth of the rate, a warm-up (schedule.warm_up) or optimizer.clip_norm",
        )
    elif guesses:
        yield Finding(
            how="sure",
            cause="nothing was learnt",
            seen=f"training accuracy ends at {last.accuracy:.1%}, chance is {chance:.1%}; {rates}",
            advice="another rate, more epochs, or weights to start from (init)",
        )
    elif len(log) >= 10:
        fifth = len(log) // 5
        accuracy = log.accuracy
        before, after = accuracy.iloc[-2 * fifth : -fifth].mean(), accuracy.iloc[-fifth:].mean()
        if after > before + RISING and after < SEEN:
            yield Finding(
                how="maybe",
                cause="training was ended while it still went on learning",
                seen=f"the last fifth of the epochs brought training accuracy from {before:.1%} to "
                f"{after:.1%}",
                advice="more epochs, or a rate that falls later",
            )
    if summary is not None and last.accuracy > SEEN and summary.top1 < last.accuracy - UNSEEN:
        yield Finding(
            how="likely",
            cause="the network has learnt its videos by heart",
            seen=f"training accuracy {last.accuracy:.1%}, test {summary.top1:.1%}",
            advice="weights to start from (init), more augmentation, dropout, or fewer open layers",
        )


def statistics_findings(trained, experiment, videos):
    """Findings of batch normalisation: the same clips with moving statistics and with their own.

    Args:
        trained: runs.TrainedStream; its model's dropout is switched off.
        experiment: config.Experiment, by which it is tested.
        videos: DataFrame, rows of the index of training.

    Yields:
        Finding.

    Raises:
        ValueError, OSError: if these videos cannot give the clips.
    """
    model = trained.model
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    if not norms:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    experiment = clips.for_a_look(experiment, batch_size=BATCH)
    table = videos.sample(frac=1, random_state=0).head(CLIPS)  # batches of all classes
    clip = experiment.clip_spec(trained.stream)
    source = clips.clip_source(experiment, table, trained.classes, clip)
    hits, number = np.zeros(2), 0
    kept = [weight.numpy() for weight in model.weights]
    with source.guard.explained():
        for images, labels, *_ in clips.validation_batches(experiment, source):
            if len(labels) < BATCH // 2:
                continue  # too few for statistics of their own
            for mode in (False, True):
                logits = np.asarray(model(images, training=mode))
                hits[int(mode)] += (logits.argmax(axis=1) == labels.numpy()).sum()
            number += len(labels)
            for weight, value in zip(model.weights, kept, strict=True):
                weight.assign(value)
    if not number:
        return
    moving, own = hits / number
    if own > moving + APART:
        yield Finding(
            how="likely",
            cause="the moving statistics of batch normalisation do not fit the data",
            seen=f"of {number} training clips {moving:.0%} are right with them, and {own:.0%} with "
            "the statistics of the clips themselves",
            advice="lower model.options.bn_momentum (0.9) where there are few steps; do not train "
            "with tiny batches; give a test the normalisation that training had",
        )
