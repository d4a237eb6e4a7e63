"""Runs the checks of the ledger on our models, configurations and data sets."""

import inspect
import re
from pathlib import Path

import numpy as np

from vidrec import config
from vidrec.datasets import registry as datasets
from vidrec.evaluation import claims
from vidrec.evaluation.ledger import ledger, summary
from vidrec.experiment.runs import build_stream
from vidrec.files import write_atomic
from vidrec.models import registry
from vidrec.models.macs import macs_by_layer
from vidrec.models.outline import without_values
from vidrec.training.stages import set_trainable

CLAIMS, LEDGER = "claims.csv", "CLAIMS.md"


def run_claims(folder):
    """Checks all claims and writes `<folder>/CLAIMS.md`.

    Args:
        folder: path of the experiments; the claims are in `<folder>/<paper>/claims.csv`.

    Returns:
        DataFrame, a row for each paper and one for all: how many claims of each verdict.

    Raises:
        FileNotFoundError: if there are no claims.
        ValueError: if a file is not as `vidrec.evaluation.claims` says, or a claim comes out
            otherwise than its row states; nothing is written then.
    """
    paths = sorted(Path(folder).glob(f"*/{CLAIMS}"))
    if not paths:
        raise FileNotFoundError(f"{folder} must hold <paper>/{CLAIMS}. Received: none")
    checks, papers, wrong = Checks(folder).calls(), {}, []
    for path in paths:
        papers[path.parent.name] = rows = []
        for claim in claims.read_claims(path):
            try:
                ours = claims.ours_of(claim, checks)
            except Exception as error:
                raise ValueError(f"{path}, {claim.id}: {claim.check}: {error}") from error
            verdict = claims.verdict_of(claim, ours)
            if verdict != claim.verdict:
                told = f"{claim.value} there, {claims.rounded(claim, ours)} here: {verdict}"
                wrong.append(f"{path}, {claim.id}: {told}, not {claim.verdict}")
            rows.append((claim, ours))
    if wrong:
        raise ValueError(
            f"{len(wrong)} claims come out otherwise than their verdict says:\n" + "\n".join(wrong)
        )
    titles = {paper: _title(Path(folder) / paper / "README.md") for paper in papers}
    write_atomic(Path(folder) / LEDGER, ledger(papers, titles).encode())
    return summary(papers)


def _title(readme):
    """The heading of a paper's page, or its folder's name."""
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    return lines[0].removeprefix("# ") if lines else readme.parent.name


class Checks:
    """What a claim's check may call. Networks are built at full size, without values.

    An `experiment` is a file by its name: "hst/hmdb51". `stream` may be left out where it trains
    one.

    Args:
        folder: path of the experiments.
    """

    def __init__(self, folder):
        self.folder, self.known = Path(folder), {}

    def calls(self):
        """{name: function} for `vidrec.evaluation.claims.evaluate`."""
        names = [name for name in vars(Checks) if not name.startswith("_") and name != "calls"]
        return {name: getattr(self, name) for name in names}

    def parameters(self, experiment, stream=None, *, layers="all", trainable=True, of=""):
        """How many parameters learn when `layers` are open as of a stage, or, not `trainable`, all
        of them; of the layers whose path has the regular expression `of` in it."""
        plan, _ = self._plan(experiment, stream)
        model = self._network(experiment, stream)
        set_trainable(model, layers, backbones=registry.get(plan.model.name).BACKBONES)
        weights = model.trainable_weights if trainable else model.weights
        return sum(_of(of, [(w.path, int(np.prod(w.shape))) for w in weights]))

    def macs(self, experiment, stream=None, *, of="", clips=1):
        """Multiply-adds of so many clips of training, in the layers whose name has the regular
        expression `of` in it. One is 2 FLOPs of those who count both."""
        plan, name = self._plan(experiment, stream)
        counts = macs_by_layer(self._network(experiment, stream), plan.clip_spec(name))
        return clips * sum(_of(of, counts.items()))

    def layers(self, experiment, kind, stream=None, *, named=""):
        """How many layers of a class there are, `kind`, of those whose name has the regular
        expression `named` in it."""
        every = self._network(experiment, stream)._flatten_layers()
        return len(_of(named, [(x.name, x) for x in every if type(x).__name__ == kind]))

    def shape(self, experiment, layer, stream=None):
        """The shape of what a layer gives, without the batch."""
        for found in self._network(experiment, stream)._flatten_layers():
            if found.name == layer:
                return tuple(found.output.shape[1:])
        raise ValueError(f"`layer` must be one of {experiment}. Received: layer={layer!r}")

    def option(self, experiment, name, stream=None):
        """An option of the model: the experiment's, or what it is by default."""
        plan, stream = self._plan(experiment, stream)
        given = plan.model.options | plan.streams[stream].options
        known = inspect.signature(registry.get(plan.model.name).build).parameters
        return _literal(given.get(name, known[name].default))

    def setting(self, experiment, path):
        """A key of the file: "streams.spatial.stages.0.epochs"."""
        value = self._plan(experiment, None)[0].model_dump()
        for key in path.split("."):
            value = value[int(key) if isinstance(value, list) else key]
        return _literal(value)

    def clip(self, experiment, modality, stream=None, *, test=False):
        """Shape of a clip."""
        plan, stream = self._plan(experiment, stream)
        return plan.clip_spec(stream, test=test).shape(modality)

    def classes(self, dataset):
        """Of a published data set."""
        return datasets.published(dataset).classes

    def videos(self, dataset):
        """Of a published data set."""
        return datasets.published(dataset).videos

    def _plan(self, experiment, stream):
        """(Experiment, the stream's name)."""
        path = self.folder / f"{experiment}.yaml"
        if path not in self.known:
            self.known[path] = config.load(path)
        plan = self.known[path]
        return plan, stream or next(iter(plan.trained or plan.streams))

    def _network(self, experiment, stream):
        """keras.Model; made once."""
        plan, stream = self._plan(experiment, stream)
        key = experiment, stream
        if key not in self.known:
            facts = datasets.published(plan.data.dataset)
            with without_values():
                self.known[key] = build_stream(plan, stream, facts.classes, plan.clip_spec(stream))
        return self.known[key]


def _of(pattern, named):
    """The values of those whose name has the regular expression in it.

    Raises:
        ValueError: if there is none: a check that counts nothing is a mistake.
    """
    named = list(named)
    found = [value for name, value in named if re.search(pattern, name)]
    if not found:
        names = sorted(name for name, _ in named)
        raise ValueError(f"{pattern!r} must be in one of the names {names[:10]}, ... It is in none")
    return found


def _literal(value):
    """Lists as the tuples that a claim's value is read as."""
    return tuple(map(_literal, value)) if isinstance(value, list | tuple) else value
