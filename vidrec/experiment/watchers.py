"""What people look at while an experiment trains: its clips, its confusions, its curves."""

from vidrec.evaluation import plots
from vidrec.evaluation.metrics import confusions
from vidrec.experiment.preview import preview
from vidrec.training.watching import Watch, tensorboard_writer, wandb_run, wandb_writer


class Watchers:
    """Makes the callbacks of a stream's stages, for TensorBoard if it is installed (its files are
    in `<run>/tensorboard/<stage>`), and for Weights & Biases if that is asked for.

    Args:
        experiment: config.Experiment.
        stream: str.
        run: Path, the run folder.
        classes: sequence of str.
        validation: callbacks.Validation or None; its confusions are shown.
        wandb: str or None, the project.

    Raises:
        ImportError: if wandb is asked for and not installed.
    """

    def __init__(self, experiment, stream, run, classes, validation, *, wandb=None):
        self.experiment, self.stream, self.run = experiment, stream, run
        self.classes, self.validation = classes, validation
        self.wandb = wandb and wandb_run(
            wandb,
            name=f"{experiment.name}/{stream}",
            folder=run,
            settings=experiment.model_dump(mode="json"),
        )

    def of_stage(self, stage):
        """A list of callbacks; `stage`: str."""
        writers = [tensorboard_writer(self.run / "tensorboard" / stage)]
        if self.wandb:
            writers.append(wandb_writer(self.wandb, stage))
        writers = [write for write in writers if write]
        return [Watch(writers, self._pictures)] if writers else []

    def close(self):
        """Ends what was begun."""
        if self.wandb:
            self.wandb.finish()

    def _pictures(self, epoch):
        drawn = {}
        if epoch == 0:
            preview(self.experiment, self.run / "clips.png", clips=1, stream=self.stream)
            drawn["clips"] = (self.run / "clips.png").read_bytes()
        if self.validation is not None:
            found = self.validation
            matrix = confusions(found.labels, found.predictions, self.classes)
            path = self.run / "confusion.png"
            plots.plot_confusion(matrix, path, f"after {epoch + 1} epochs")
            drawn["confusion"] = path.read_bytes()
        return drawn
