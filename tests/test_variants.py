"""Protocols by name, and an experiment on another split."""

import pytest

from tests.test_config import EXPERIMENTS, changed, write
from vidrec import config
from vidrec.config.protocols import PROTOCOLS
from vidrec.experiment.diagnosis.training import OF_MODELS
from vidrec.models import registry


def load(tmp_path, evaluation, **sections):
    content = changed("evaluation", value=evaluation) | sections
    return config.load(write(tmp_path, content))


def test_a_protocol_gives_the_keys_of_a_test(tmp_path):
    found = load(tmp_path, {"protocol": "three-draws", "batch_size": 7}).evaluation
    assert (found.sampling, found.draws, found.average) == ("random", 3, "accuracy")
    assert found.batch_size == 7
    tstam = {"sampling": {"policy": "intervals"}, "clip": {"segments": 6}}
    found = load(tmp_path, {"protocol": "25-frames-10-crops"}, **tstam)
    assert found.clip_spec("spatial", test=True).frames == 25
    assert (found.evaluation.crops, found.evaluation.views_on) == (10, "probabilities")
    dense = {"sampling": {"policy": "consecutive"}}
    assert load(tmp_path, {"protocol": "dense-clips"}, **dense).evaluation.views == 10


@pytest.mark.parametrize(
    ("evaluation", "sections", "message"),
    [
        ({"protocol": "ten-crops"}, {}, "`protocol` must be one of three-draws, centre, 25-.*'ten"),
        (
            {"protocol": "three-draws", "draws": 5},
            {},
            r"has \{'draws': 3\}. Received: \{'draws': 5",
        ),
        ({"protocol": "dense-clips"}, {}, "is for `sampling: {policy: consecutive}`. .* segments"),
        (
            {"protocol": "8-segments"},
            {"sampling": {"policy": "even"}, "clip": {"frames_per_segment": 4}},
            "8-segments is for a test of 48 frames. Received: 32 frames",
        ),
        ({"protocol": ["centre"]}, {}, "`protocol` must be one of"),
        ({"clips": 4}, {}, "evaluation.clips are at even distances: they need"),
        (
            {"clips": 4, "sampling": "random"},
            {"sampling": {"policy": "consecutive"}},
            "evaluation.clips are at even distances",
        ),
    ],
)
def test_what_does_not_go_with_a_protocol(tmp_path, evaluation, sections, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, evaluation, **sections)


def test_another_protocol_for_an_experiment(tmp_path):
    one = load(tmp_path, {"draws": 5, "batch_size": 7, "resize": [256, 256]})
    other = config.of_protocol(one, "centre")
    assert other.evaluation.sampling == "centre"
    assert (other.evaluation.batch_size, other.evaluation.resize) == (7, (256, 256))
    assert other.name == one.name
    with pytest.raises(ValueError, match=r"small by protocol 24-frames has 1 problems:\n.*strided"):
        config.of_protocol(one, "24-frames")


def test_every_paper_is_tested_by_a_protocol_of_its_own():
    assert set(OF_MODELS) == set(registry.MODELS)
    assert set().union(*OF_MODELS.values()) == set(PROTOCOLS)
    for path in EXPERIMENTS:
        experiment = config.load(path)
        if experiment.data.dataset != "folder":
            assert experiment.evaluation.protocol in OF_MODELS[experiment.model.name], path


def test_another_split_has_runs_of_its_own(tmp_path):
    content = changed("data", "split", value={"name": "official-1"})
    content["data"]["dataset"] = "ucf101"
    stages = content["streams"]["spatial"]["stages"]
    content["streams"] = {
        "spatial": {
            "stages": stages,
            "init": {"run": "runs/kinetics/spatial", "include_head": False},
        },
        "temporal": {"stages": stages, "init": {"run": "spatial"}},
    }
    one = config.load(write(tmp_path, content))
    assert config.of_split(one, "official-1") is one
    other = config.of_split(one, "official-2")
    assert (other.name, other.data.split.name) == ("small_official-2", "official-2")
    assert other.streams["spatial"].init.run == "runs/kinetics/spatial"  # another data set
    assert other.streams["temporal"].init.run == "spatial"
    taken = {"spatial": {"run": "runs/small/spatial"}}
    content["streams"] = taken | {"temporal": {"stages": stages, "init": {"run": "out/x/spatial"}}}
    other = config.of_split(config.load(write(tmp_path, content)), "official-3")
    assert other.streams["spatial"].run == "runs/small_official-3/spatial"
    assert other.streams["temporal"].init.run == "out/x_official-3/spatial"


def test_another_split_than_groups(tmp_path):
    content = changed("data", "split", value={"name": "groups", "test_groups": ["g07"], "seed": 3})
    other = config.of_split(config.load(write(tmp_path, content)), "random-8:2")
    assert other.data.split.model_dump() == {"name": "random-8:2", "seed": 3, "test_groups": []}
    content = changed("streams", "spatial", value={"run": "spatial"})
    with pytest.raises(
        ValueError, match="must be <folder of runs>/<experiment>/<stream>.*: spatial"
    ):
        config.of_split(config.load(write(tmp_path, content)), "official-1")
