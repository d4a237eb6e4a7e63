"""Every file of experiments/: its network at full size, two steps of its stages when it is small,
what its paper says, and what its header says."""

import contextlib
import itertools
import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import PROJECT
from tests.experiment.paper_recipes import RECIPES, Row
from vidrec import config
from vidrec.datasets import registry as datasets
from vidrec.experiment.runs import build_stream, check_length
from vidrec.experiment.stage_plans import stage_plan
from vidrec.models import registry
from vidrec.models.layers.frozen_norm import FrozenBatchNormalization
from vidrec.models.outline import without_values
from vidrec.training.stages import build_optimizer, decay_weights, set_trainable
from vidrec.training.step import TrainingStep
from vidrec.training.strategy import check_parts

FILES = {
    path.relative_to(PROJECT / "experiments").with_suffix("").as_posix(): path
    for path in sorted((PROJECT / "experiments").rglob("*.yaml"))
}
EXPERIMENTS = {name: config.load(path) for name, path in FILES.items()}
STREAMS = [(name, stream) for name, one in EXPERIMENTS.items() for stream in one.trained]
# The quick ones. Of these a graph is made too: TensorFlow keeps 250 MB of each until the process
# ends.
ONE_OF_EACH = [
    ("multiseg_xception/ucf101_temporal", "temporal"),
    ("deep_fusion_tpn/ucf101", "joint"),
    ("tstam/ucf101_spatial_tsn", "spatial"),
    ("vcm_sdd/kinetics400", "joint"),
    ("hst/hmdb51", "joint"),
    ("hst/hmdb51_r3d", "spatial"),
]
OF_PAPERS = [name for name, one in EXPERIMENTS.items() if one.data.dataset != "folder"]

# What makes the networks small: of the clip, of the options.
SMALL = {
    "multiseg_xception": ({"segments": 1, "size": 71, "flow_length": 2}, {}),
    "deep_fusion_tpn": (
        {"frames_per_segment": 16, "size": 32},
        {"width": 1 / 32, "lstm_units": 4},
    ),
    "tstam": (
        {"segments": 2, "size": 64, "flow_length": 2},
        {"map_dim": 16, "temporal_hidden": 8, "num_spatial": 2},
    ),
    "vcm_sdd": (
        {"frames_per_segment": 2, "size": 64, "flow_length": 2},
        {"width": 1 / 16, "blocks": (1, 1, 1, 1)},
    ),
    "hst": (
        {"frames_per_segment": 8, "size": 32},
        {"inner": 8, "outer": 16, "layer_sizes": (1, 1, 1, 1), "head_units": (8,)},
    ),
    "conv3d_baselines": ({"size": 32}, {"width": 1 / 16, "layer_sizes": (1, 1, 1, 1)}),
}

# Of equations 2 and 4 of T-STAM: what normalisation or a softmax takes away again.
CANCELLED = re.compile(r"(rgb|flow)_(t_conv/bias|s\d_conv2/bias|s\d_bn2/beta)")


FOUND = {}


def once(find, experiment, stream, **options):
    """What `find` finds; looked for once where experiments ask for the same."""
    settings = experiment.streams[stream]
    key = {
        "find": find.__name__,
        "found with": options,
        **experiment.model_dump(include={"precision", "model"}),
        "options": settings.options,
        "clips": [str(experiment.clip_spec(stream, test=test)) for test in (False, True)],
        "stages": [
            stage.model_dump(include={"layers", "freeze_bn", "optimizer", "accumulate", "compiled"})
            | {"rate": stage_plan(stage, ()).rate_of(0)}
            for stage in settings.stages
        ],
    }
    key = json.dumps(key, sort_keys=True)
    if key not in FOUND:
        FOUND[key] = find(experiment, stream, **options)
    return FOUND[key]


def classes_of(experiment):
    facts = datasets.get(experiment.data.dataset).facts
    return facts.classes if facts else 4


def backbones_of(experiment):
    return registry.get(experiment.model.name).BACKBONES


def outline(experiment, stream, *, classes):
    """A network without values: shapes, trained parameters of each stage, rates of dropout."""
    parameters = []
    with without_values():
        model = build_stream(experiment, stream, classes, experiment.clip_spec(stream))
    check_length(model, experiment.clip_spec(stream, test=True))
    for stage in experiment.streams[stream].stages:
        options = {"backbones": backbones_of(experiment), "freeze_bn": stage.freeze_bn}
        set_trainable(model, stage.layers, **options)
        parameters.append(sum(math.prod(w.shape) for w in model.trainable_weights))
    drops = [x for x in model._flatten_layers() if isinstance(x, keras.layers.Dropout)]
    return {
        "inputs": {name: x.shape[2:] for name, x in model.input.items()},  # T may be open
        "output": model.output.shape,
        "parameters": tuple(parameters),
        "dropout": tuple(sorted(drop.rate for drop in drops)),
    }


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_the_network_at_full_size(name, stream):
    experiment = EXPERIMENTS[name]
    classes, clip = classes_of(experiment), experiment.clip_spec(stream)
    found = once(outline, experiment, stream, classes=classes)
    assert found["output"] == (None, classes)
    assert found["inputs"] == {name: clip.shape(name)[1:] for name in clip.modalities}
    assert min(found["parameters"]) > 0
    for stage in experiment.streams[stream].stages:
        check_parts(stage.batch_size, stage.accumulate, compiled=stage.compiled)


def shrunk(experiment, **changes):
    """An experiment of the same training with a small network and small clips."""
    clip, options = SMALL[experiment.model.name]
    own = experiment.model.options
    if own.get("network") == "c3d" and own.get("column", "resnet21") == "resnet21":
        options = {"width": options["width"]}  # it has no blocks
    model = experiment.model.model_copy(update={"options": own | options})
    clip = experiment.clip.model_copy(update=clip)
    return experiment.model_copy(update={"model": model, "clip": clip, **changes})


@contextlib.contextmanager
def setting(precision="float32", *, eager=True):
    """Eager steps need no graph, which takes most of the time of two steps."""
    keras.config.set_dtype_policy(precision)
    tf.config.run_functions_eagerly(eager)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
        keras.config.set_dtype_policy("float32")


def two_steps(experiment, stream, *, eager=True):
    """Of every stage, one behind the other: [(losses, what moved, what should have)]."""
    clip, rng, found = experiment.clip_spec(stream), np.random.default_rng(7), []
    classes = 3

    def part():
        clips = {
            name: rng.integers(0, 256, (2, *clip.shape(name)), dtype=np.uint8)
            for name in clip.modalities
        }
        labels = rng.integers(0, classes, 2, dtype=np.int32)
        return {name: tf.constant(x) for name, x in clips.items()}, tf.constant(labels)

    keras.utils.set_random_seed(0)
    with setting(experiment.precision, eager=eager):
        model = build_stream(experiment, stream, classes, clip)
        settle(model, part()[0])
        for stage in experiment.streams[stream].stages:
            plan = stage_plan(stage, backbones_of(experiment), experiment.precision)
            set_trainable(model, plan.layers, backbones=plan.backbones, freeze_bn=plan.freeze_bn)
            decay_weights(model, plan.weight_decay)
            build_optimizer(plan.optimizer, model)
            plan.optimizer.learning_rate = plan.rate_of(0)
            step = TrainingStep(
                model,
                plan.optimizer,
                tf.data.Dataset.from_tensors(part()).element_spec,
                batch_size=2 * plan.accumulate,
                accumulate=plan.accumulate,
                clip_norm=plan.clip_norm,
                compiled=plan.compiled,
            )
            before = [np.array(variable) for variable in model.variables]
            losses = [step([part() for _ in range(plan.accumulate)])[0] for _ in range(2)]
            moved = {
                variable.path
                for variable, old in zip(model.variables, before, strict=True)
                if not np.array_equal(np.array(variable), old)
            }
            found.append((losses, moved, open_in(model)))
    return found


def settle(model, clips):
    """Fits statistics that training keeps to these clips, as those of trained weights would fit:
    with those of new ones, next to nothing of a gradient gets through."""
    kept = [x for x in model._flatten_layers() if isinstance(x, FrozenBatchNormalization)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(FrozenBatchNormalization, "call")
        for layer in kept:
            patch.setattr(layer, "momentum", 0.0)
        if kept:
            model(clips, training=True)


def open_in(model):
    """The paths of what training moves: open weights, and statistics of open normalisation."""
    paths = {weight.path for weight in model.trainable_weights}
    for layer in model._flatten_layers():
        kind = type(layer) if layer.trainable else None
        if kind is keras.layers.BatchNormalization:
            paths |= {weight.path for weight in layer.non_trainable_weights}
    return paths


def check_steps(experiment, stream, **options):
    found = once(two_steps, shrunk(experiment), stream, **options)
    assert len(found) == len(experiment.streams[stream].stages)
    for losses, moved, wanted in found:
        assert np.isfinite(losses).all()
        assert {path for path in moved if not path.endswith("seed_generator_state")} <= wanted
        assert [path for path in wanted - moved if not CANCELLED.fullmatch(path)] == []


def test_every_model_has_its_two_steps_among_the_quick_ones():
    assert {EXPERIMENTS[name].model.name for name, _ in ONE_OF_EACH} == set(registry.PAPERS)


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        pytest.param(*case, marks=() if case in ONE_OF_EACH else pytest.mark.slow)
        for case in STREAMS
        if case[1] == EXPERIMENTS[case[0]].trained[0]
    ],
)
def test_two_steps_of_every_stage_move_what_is_open_and_nothing_else(name, stream):
    check_steps(EXPERIMENTS[name], stream)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stream"), ONE_OF_EACH)
def test_two_steps_of_every_stage_as_a_graph(name, stream):
    check_steps(EXPERIMENTS[name], stream, eager=False)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stream"), ONE_OF_EACH)
def test_two_steps_in_parts_and_in_half_precision(name, stream):
    """As a smaller card may have it. By XLA, since TensorFlow's own gradients of 3D convolutions
    are wrong on a CPU: see `vidrec.training.strategy.check_precision`."""
    one = EXPERIMENTS[name].streams[stream]
    changes = {"accumulate": 2, "compiled": True}
    stages = [stage.model_copy(update=changes) for stage in one.stages]
    streams = {stream: one.model_copy(update={"stages": stages})}
    changes = {"precision": "mixed_bfloat16", "streams": streams}
    check_steps(EXPERIMENTS[name].model_copy(update=changes), stream, eager=False)


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_paper(name):
    experiment, recipe = EXPERIMENTS[name], RECIPES[name]
    assert experiment.trained == [recipe.stream]
    stream, clip = experiment.streams[recipe.stream], experiment.clip_spec(recipe.stream)
    assert experiment.precision == "float32"
    assert experiment.data.split.name == recipe.split
    assert stream.init.model_dump(exclude_defaults=True) == recipe.init
    assert experiment.model.options | stream.options == recipe.options
    assert (clip.frames, clip.size) == recipe.clip
    assert experiment.clip_spec(recipe.stream, test=True).frames == recipe.tested
    found = once(outline, experiment, recipe.stream, classes=classes_of(experiment))
    assert found["dropout"] == recipe.dropout
    assert [stage.accumulate for stage in stream.stages] == [1] * len(recipe.stages)
    assert not any(stage.freeze_bn for stage in stream.stages)
    assert tuple(
        Row(
            stage.name,
            stage.layers,
            parameters,
            stage.epochs,
            stage.batch_size,
            {"name": stage.optimizer.name} | stage.optimizer.model_dump(exclude_defaults=True),
            pytest.approx(rates(stage)),
            stage.stop and stage.stop.model_dump(exclude_none=True),
        )
        for stage, parameters in zip(stream.stages, found["parameters"], strict=True)
    ) == tuple(recipe.stages)


def rates(stage):
    """{epoch: rate from there on}."""
    rate_of = stage_plan(stage, ()).rate_of
    every = [rate_of(epoch) for epoch in range(stage.epochs)]
    return {
        epoch: rate
        for epoch, rate in enumerate(every)
        if epoch == 0 or rate != pytest.approx(every[epoch - 1])
    }


def test_every_recipe_of_a_paper_is_in_the_table():
    assert set(RECIPES) == {name for name in OF_PAPERS if EXPERIMENTS[name].trained}


def of_run(run):
    """(experiment, stream) that leave a run behind."""
    out, name, stream = run.split("/")
    assert out == "runs"
    (experiment,) = [one for one in EXPERIMENTS.values() if one.name == name]
    assert stream in experiment.trained
    return experiment, stream


def test_streams_that_are_tested_were_trained_on_what_they_are_tested_with():
    tested = [
        (one, stream, settings.run)
        for one in EXPERIMENTS.values()
        for stream, settings in one.streams.items()
        if settings.run
    ]
    assert len(tested) == 10
    for one, stream, run in tested:
        trained, of = of_run(run)
        assert of == stream
        shared = {"clip", "data", "model", "sampling"}
        there, here = (each.model_dump(include=shared) for each in (trained, one))
        assert there["model"].pop("options").keys() <= {"partial_bn"}  # a run knows its own
        assert here["model"].pop("options") == {}
        assert there == here
        assert trained.evaluation == one.evaluation


def test_streams_that_start_from_a_run_take_its_head_if_the_classes_are_the_same():
    started = {
        name: of_run(settings.init.run)[0]
        for name, one in EXPERIMENTS.items()
        for settings in one.streams.values()
        if settings.init.run and settings.init.run not in one.streams
    }
    assert {name: parent.name for name, parent in started.items()} == {
        "multiseg_xception/ucf101_temporal": "ucf101_spatial",
        "multiseg_xception/ucf101_spatial_kinetics400": "kinetics400_spatial",
    }
    for name, parent in started.items():
        one = EXPERIMENTS[name]
        (settings,) = one.streams.values()
        same = one.data.dataset == parent.data.dataset
        assert settings.init.include_head == same
        assert not same or one.data.split == parent.data.split  # or tested videos were trained on
        assert one.model == parent.model


def header(name):
    """(its lines, the text that they make)."""
    every = FILES[name].read_text().splitlines()
    lines = list(itertools.takewhile(lambda line: line.startswith("#"), every))
    return lines, " ".join("".join(line.removeprefix("#") for line in lines).split())


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_how_to_run_it_and_whose_it_is(name):
    lines, text = header(name)
    commands = [line for line in lines if re.match("#   make ", line)]
    own = "make demo" if name.endswith("/demo") else f"CONFIG=experiments/{name}.yaml"
    assert any(own in command for command in commands)
    if name not in OF_PAPERS:
        return
    assert re.search(r"Paper: (\d\d|about \d\d|top-1 \d\d|not available)", text)
    assert re.search(r"Ours: needs (the|both) data sets?\.", text)
    assert re.search("section|table|Table", text)
    if name in RECIPES:
        assert "Hardware" in text


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_header_says_of_smaller_cards_can_be_done(name):
    _, text = header(name)
    stages = EXPERIMENTS[name].streams[RECIPES[name].stream].stages
    for batch, parts in re.findall(r"(?:batch_size: (\d+), )?accumulate: (\d+)", text):
        for size in [int(batch)] if batch else [stage.batch_size for stage in stages]:
            check_parts(size, int(parts))
