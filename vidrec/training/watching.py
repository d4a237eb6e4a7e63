"""What people look at while a stage trains, beside its log: TensorBoard, Weights & Biases."""

import importlib.util
import secrets

import keras
import tensorflow as tf


class Watch(keras.callbacks.Callback):
    """Hands the values and pictures of each epoch to those who show them.

    Args:
        writers: list of functions of (epoch, values, pictures): int, dict of float, dict of PNG
            files as bytes.
        pictures: function of the epoch to such a dict; it is called when validation is done.
    """

    def __init__(self, writers, pictures):
        super().__init__()
        self.writers, self.pictures = writers, pictures

    def on_epoch_end(self, epoch, logs=None):
        pictures = self.pictures(epoch)
        for write in self.writers:
            write(epoch, logs, pictures)


def tensorboard_writer(folder):
    """A writer of TensorBoard's files in `folder`; None if TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    file = tf.summary.create_file_writer(str(folder))

    def write(epoch, values, pictures):
        with file.as_default(step=epoch):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            for name, png in pictures.items():
                tf.summary.image(name, tf.io.decode_png(png, channels=3)[None])
        file.flush()

    return write


def wandb_run(project, *, name, folder, settings):
    """The run of Weights & Biases that belongs to a run folder: the same one if it is resumed.

    Args:
        project: str.
        name: str, what it is called there.
        folder: Path, the run folder.
        settings: dict, shown with it.

    Raises:
        ImportError: if wandb is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise ImportError(
            "Weights & Biases is not installed: `pip install wandb`, or leave --wandb out."
        ) from error
    known = folder / "wandb_id.txt"
    if not known.exists():
        folder.mkdir(parents=True, exist_ok=True)
        known.write_text(secrets.token_hex(4), encoding="utf-8")
    return wandb.init(
        project=project,
        name=name,
        id=known.read_text(encoding="utf-8"),
        resume="allow",
        config=settings,
        dir=str(folder),
    )


def wandb_writer(run, stage):
    """A writer of a run of Weights & Biases; names begin with the stage's."""
    import wandb

    def write(epoch, values, pictures):
        shown = {name: wandb.Image(_decoded(png)) for name, png in pictures.items()}
        told = {"epoch": epoch, **values, **shown}
        run.log({f"{stage}/{name}": value for name, value in told.items()})

    return write


def _decoded(png):
    return tf.io.decode_png(png, channels=3).numpy()
