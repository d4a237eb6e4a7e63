"""What happens at the end of an epoch: validation, a log row, a line, perhaps the end of the stage.

The logs that they read are those of `vidrec.training.fit`: loss, accuracy and learning_rate,
clips_per_second and waiting, and val_loss and val_accuracy behind a `Validation`.
"""

import math
import time

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from vidrec.files import write_atomic

LOG_COLUMNS = ["stage", "epoch", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy"]
SPEED_COLUMNS = ["stage", "epoch", "clips_per_second", "waiting"]


class CsvLog(keras.callbacks.Callback):
    """One row an epoch, rewritten whole, so that a resumed run never holds an epoch twice.

    Its columns, of `LOG_COLUMNS`: stage (its name), epoch (from 0 within the stage), learning_rate,
    loss, accuracy, val_loss, val_accuracy (empty where there was no validation).
    """

    def __init__(self, path, stage, columns=LOG_COLUMNS):
        super().__init__()
        self.path, self.stage, self.columns = path, stage, columns

    def on_epoch_end(self, epoch, logs=None):
        row = {"stage": self.stage, "epoch": epoch} | {
            name: logs.get(name, float("nan")) for name in self.columns[2:]
        }
        log = read_log(self.path, self.columns)
        log = log[(log.stage != self.stage) | (log.epoch < epoch)]
        rows = [*log.to_dict("records"), row]
        text = pd.DataFrame(rows, columns=self.columns).to_csv(index=False)
        write_atomic(self.path, text.encode())


def read_log(path, columns=LOG_COLUMNS):
    """The log as a DataFrame; empty if there is none."""
    if not path.exists():
        return pd.DataFrame(columns=columns)
    # A stage may be called "1" or "NA"; only numbers can be missing.
    missing = {name: [""] for name in columns[1:]}
    return pd.read_csv(path, dtype={"stage": str}, keep_default_na=False, na_values=missing)


class StopWhenStable(keras.callbacks.Callback):
    """Ends the stage when training accuracy is stable.

    Section 3.4.2 of Qiao et al. 2021: the head is not trained to its peak; once the rate has come
    down to 0.005 and training accuracy is stable, the next stage begins.

    Args:
        patience: int >= 1, epochs in a row without a rise of more than `tolerance`.
        tolerance: float >= 0.
        rate_at_most: float or None, epochs at a higher learning rate are not counted.
        seen: (learning rate, accuracy) of this stage's earlier epochs, of a resumed run.
    """

    def __init__(self, *, patience, tolerance=0.005, rate_at_most=None, seen=()):
        super().__init__()
        self.patience, self.tolerance, self.rate_at_most = patience, tolerance, rate_at_most
        self.best, self.waited = float("-inf"), 0
        for rate, accuracy in seen:
            self._count(rate, accuracy)

    def on_epoch_end(self, epoch, logs=None):
        self._count(logs["learning_rate"], logs["accuracy"])
        if self.waited >= self.patience:
            self.model.stop_training = True

    def _count(self, rate, accuracy):
        if self.rate_at_most is not None and rate > self.rate_at_most:
            return
        if accuracy > self.best + self.tolerance:
            self.best, self.waited = accuracy, 0
        else:
            self.waited += 1


class Validation(keras.callbacks.Callback):
    """Adds val_loss and val_accuracy, over all examples of a Dataset, to the logs of an epoch.

    On one device: the last batch may be one that does not divide over several. `labels` and
    `predictions`, int (V,), are those of the epoch that was last.

    Args:
        dataset: Dataset of (clips, labels, ...).
        network: keras.Model from those clips to logits.
    """

    def __init__(self, dataset, network):
        super().__init__()
        self.dataset = dataset
        self.forward = tf.function(
            lambda clip: network(clip, training=False), reduce_retracing=True
        )

    def on_epoch_end(self, epoch, logs=None):
        losses, found = [], []
        for clip, label, *_ in self.dataset:
            logits = self.forward(clip)
            losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits).numpy())
            found.append((label.numpy(), logits.numpy().argmax(axis=-1)))
        self.labels, self.predictions = map(np.concatenate, zip(*found, strict=True))
        logs["val_loss"] = float(np.concatenate(losses).mean())
        logs["val_accuracy"] = float((self.labels == self.predictions).mean())


class Skipped(keras.callbacks.Callback):
    """Tells after each epoch which videos could not be read, and keeps the list in a CSV file.

    Args:
        report: function without arguments to a list of (video_id, clips, reason).
        path: Path of the file; it is written when there is something to tell. One that is there,
            of a run that is resumed, is added to.
    """

    def __init__(self, report, path):
        super().__init__()
        self.report, self.path = report, path
        self.before = pd.read_csv(path) if path.exists() else None

    def on_epoch_end(self, epoch, logs=None):
        rows = self.report()
        if rows:
            table = pd.DataFrame(rows, columns=["video_id", "clips", "reason"])
            table = pd.concat([self.before, table]).groupby("video_id", as_index=False)
            table = table.agg({"clips": "sum", "reason": "last"})
            write_atomic(self.path, table.to_csv(index=False).encode())
            print(
                f"  {table.clips.sum()} clips of {len(table)} videos could not be read, and others "
                f"took their place: {self.path}",
                flush=True,
            )


class EpochLine(keras.callbacks.Callback):
    """Prints a line an epoch: where the stage is, how it goes, how long it will take."""

    def __init__(self, stage, epochs):
        super().__init__()
        self.stage, self.epochs = stage, epochs
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.monotonic() - self.began)
        steady = self.seconds[1:] or self.seconds  # the first epoch also traces the graph
        left = sum(steady) / len(steady) * (self.epochs - epoch - 1)
        shown = ("loss", "accuracy", "val_loss", "val_accuracy")
        values = "  ".join(f"{name} {logs[name]:.3f}" for name in shown if name in logs)
        speed = (
            ""
            if math.isnan(logs["waiting"])
            else (
                f"{logs['clips_per_second']:.3g} clips/s, {logs['waiting']:.0%} waiting for data  "
            )
        )
        print(
            f"  {self.stage}: epoch {epoch + 1} of {self.epochs}  {values}  "
            f"rate {logs['learning_rate']:.2g}  {speed}about {left:.0f} s left",
            flush=True,
        )
