import copy
from pathlib import Path

import pytest
import yaml

from vidrec import config

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").rglob("*.yaml"))
STAGE = {"name": "a", "epochs": 3, "batch_size": 8, "schedule": {"rate": 0.05}}
BASE = {
    "name": "small",
    "data": {"videos": "v", "root": "r", "split": {"name": "random-8:2"}},
    "streams": {"spatial": {"stages": [STAGE]}},
}


def write(tmp_path, content):
    path = tmp_path / "experiment.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(*keys, value):
    """BASE with one value replaced or added."""
    content = copy.deepcopy(BASE)
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return content


def test_there_are_experiments():
    assert {path.name for path in EXPERIMENTS} >= {"demo.yaml", "weizmann4.yaml"}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_experiment_loads_and_survives_a_dump(path, tmp_path):
    experiment = config.load(path)
    assert experiment.name.endswith(path.stem)
    assert experiment.clip_spec().segments == experiment.clip.segments
    again = config.load(write(tmp_path, config.dump(experiment)))
    assert again == experiment
    assert config.dump(again) == config.dump(experiment)


def test_no_two_experiments_have_the_same_run_folder():
    names = [config.load(path).name for path in EXPERIMENTS]
    assert len(set(names)) == len(names)


def test_dump_writes_every_default(tmp_path):
    content = yaml.safe_load(config.dump(config.load(write(tmp_path, BASE))))
    assert content["clip"] == {
        "segments": 3,
        "frames_per_segment": 1,
        "size": 224,
        "flow_length": 10,
        "flow_position": "start",
        "flow_step": 1,
    }
    assert content["data"]["flow"] == {"engine": "fast", "bound": 20.0, "quantize": "bound"}
    assert content["data"]["split"]["seed"] == 0
    assert content["augment"]["crop_range"] == [0.66, 1.0]
    assert content["augment"]["flow_flip"] == "negate"
    assert content["fusion"]["temporal"] is None
    assert content["evaluation"]["draws"] == 3
    assert content["streams"]["spatial"]["stages"][0]["schedule"] == {
        "kind": "step",
        "rate": 0.05,
        "factor": 0.2,
        "every": 10,
        "at": [],
        "warm_up": 0,
        "minimum": 0.0,
    }


def test_clip_spec_takes_the_modalities_of_the_streams(tmp_path):
    one = config.load(write(tmp_path, BASE))
    assert one.clip_spec().modalities == ("rgb",)
    assert one.clip_spec("temporal").shape("flow") == (3, 224, 224, 20)
    assert one.clip_spec("joint").modalities == ("rgb", "flow")
    assert changed_clip(one, segments=None).clip_spec(test=True) == one.clip_spec()
    test = changed_clip(one, segments=25).clip_spec("spatial", test=True)
    assert test.shape("rgb") == (25, 224, 224, 3)
    content = changed("streams", "temporal", value={"stages": [STAGE]})
    content["clip"] = {"segments": 5, "size": 96, "flow_length": 4}
    two = config.load(write(tmp_path, content))
    assert two.clip_spec().modalities == ("rgb", "flow")
    assert two.clip_spec().shape("flow") == (5, 96, 96, 8)


def changed_clip(experiment, **evaluation):
    return experiment.model_copy(
        update={"evaluation": experiment.evaluation.model_copy(update=evaluation)}
    )


def test_a_joint_stream_takes_both_modalities_and_fuses_within_itself(tmp_path):
    content = changed("streams", value={"joint": {"stages": [STAGE]}})
    content["model"] = {"options": {"fusion_weights": [2, 1]}}
    experiment = config.load(write(tmp_path, content))
    assert experiment.clip_spec().modalities == ("rgb", "flow")
    assert experiment.trained == ["joint"]
    content["streams"]["spatial"] = {"run": "elsewhere"}
    with pytest.raises(ValueError, match="or a joint one alone, a network that takes both"):
        config.load(write(tmp_path, content))


def test_streams_are_trained_behind_what_they_start_from(tmp_path):
    content = changed("streams", "temporal", value={"run": "elsewhere"})
    assert config.load(write(tmp_path, content)).trained == ["spatial"]
    content["streams"]["temporal"] = {"stages": [STAGE], "init": {"run": "spatial"}}
    assert config.load(write(tmp_path, content)).trained == ["spatial", "temporal"]
    content["streams"]["temporal"] = {"stages": [STAGE]}
    content["streams"]["spatial"] = {"stages": [STAGE], "init": {"run": "temporal"}}
    assert config.load(write(tmp_path, content)).trained == ["temporal", "spatial"]


@pytest.mark.parametrize(
    "keys",
    [
        ("fusoin",),
        ("data", "flow_bound"),
        ("data", "split", "sede"),
        ("streams", "audio"),
        ("streams", "spatial", "stages", 0, "schedule", "decay"),
    ],
    ids=lambda keys: keys[-1],
)
def test_an_unknown_key_is_an_error_that_names_key_and_file(tmp_path, keys):
    if keys[-1] == "decay":
        stage = {**STAGE, "schedule": {"rate": 0.1, "decay": 2}}
        path = write(tmp_path, changed("streams", "spatial", value={"stages": [stage]}))
    else:
        path = write(tmp_path, changed(*keys, value={"stages": [STAGE]}))
    where = r"\.".join(str(key) for key in keys)
    with pytest.raises(ValueError, match=rf"{path} has \d problems:\n(?s:.*)  {where}"):
        config.load(path)


def test_all_problems_are_told_at_once(tmp_path):
    content = changed("seed", value=-1)
    content["fusoin"] = {"spatial": 2}
    del content["data"]["root"]
    content["augment"] = {"flip_lr": 1.5}
    with pytest.raises(ValueError, match="has 4 problems") as caught:
        config.load(write(tmp_path, content))
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "augment.flip_lr",
        "data.root",
        "fusoin",
        "seed",
    ]


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("data", "split"), {"name": "groups"}, r"`test_groups`, as in \[g07, g08, g09\], goes wi"),
        (("data", "split"), {"name": "random-8:2", "test_groups": ["g01"]}, "split 'groups'"),
        (("data", "split"), {"name": "random-8:2", "seed": -1}, "greater than or equal to 0"),
        (("data", "dataset"), "ucf50", "data.dataset: Input should be 'folder', 'ucf101'"),
        (("data", "groups"), {"colum": "x"}, "data.groups.colum: Extra inputs"),
        (("data",), None, r"has 3 problems:\n  data.videos: Field required"),
        (("data",), ["a", "b"], r"  data: Input should be a valid dictionary"),
        (("data", "flow"), {"bound": 0}, "data.flow.bound: Input should be greater than 0"),
        (("streams", "spatial"), {}, "needs either `stages` to train it by, or a `run`"),
        (("streams", "spatial"), {"run": "r", "stages": [STAGE]}, "needs either `stages` to"),
        (
            ("streams", "spatial"),
            {"stages": [STAGE, {**STAGE, "name": "b"}, STAGE]},
            r"the names of stages must differ, received \['a', 'b', 'a'\]",
        ),
        (("evaluation",), {"short_side": 240, "resize": [240, 320]}, "to `resize`, not to both"),
        (("evaluation",), {"resize": [200, 320]}, "scales images to 200 px, less than clip.size"),
        (
            ("streams", "spatial"),
            {"stages": [STAGE], "init": {"run": "spatial"}},
            "spatial stream cannot start from itself",
        ),
        *(
            (("streams", "spatial"), {"stages": [{**STAGE, **changes}]}, message)
            for changes, message in (
                ({"schedule": {"rate": 1e-5, "minimum": 1e-4}}, "`minimum`, 0.0001, is more than"),
                (
                    {"schedule": {"kind": "milestones", "rate": 0.1, "at": [2, 3]}},
                    r"schedule.at must be epochs from 1 to 2: \[2, 3\]",
                ),
                ({"schedule": {"rate": 0.1, "warm_up": 4}}, "warm_up must be at most the 3 epochs"),
                ({"optimizer": {"name": "adam", "momentum": 0.9}}, "`momentum` is of sgd"),
                ({"optimizer": {"epsilon": 1e-8}}, "`epsilon` is of adam and adamw"),
            )
        ),
        (("evaluation",), {"crops": 3}, "evaluation.crops: Input should be 1, 5 or 10"),
        *(
            (
                ("streams", "spatial"),
                {"stages": [{**STAGE, "schedule": {"rate": 0.1, **schedule}}]},
                r"`at`, epochs in rising order as in \[30, 60\], goes with `milestones`",
            )
            for schedule in (
                {"kind": "milestones"},
                {"kind": "milestones", "at": [60, 30]},
                {"kind": "constant", "at": [30]},
            )
        ),
        (
            ("streams", "temporal"),
            {"stages": [STAGE], "init": {"run": "spatial", "weights": "imagenet"}},
            "streams.temporal.init: .*`init` takes `weights` or `run`, not both",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path, keys, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        config.load(write(tmp_path, changed(*keys, value=value)))
    assert str(tmp_path / "experiment.yaml") in str(caught.value)


def test_a_missing_file(tmp_path):
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(FileNotFoundError, match=f"There is no experiment {path}. A clone of the"):
        config.load(path)


def test_a_file_of_another_encoding_is_named(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_bytes("name: été\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"experiment.yaml must be text in UTF-8. .* Save it as"):
        config.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "must hold keys and values. Received: None"), ("a: [1", "experiment.yaml is not YAML")],
)
def test_files_that_hold_no_experiment(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        config.load(write(tmp_path, text))


def test_no_code_from_a_file(tmp_path):
    with pytest.raises(ValueError, match="is not YAML"):
        config.load(write(tmp_path, "name: !!python/object/apply:os.getcwd []\n"))


def test_overrides_replace_keys_of_data_and_none_does_not(tmp_path):
    path = write(tmp_path, BASE)
    experiment = config.load(path, root=Path("/data/other"), videos=None, seed=None)
    assert (experiment.data.root, experiment.data.videos) == ("/data/other", "v")
    assert experiment.seed == 0
    assert config.load(path, seed=7) == config.load(path).model_copy(update={"seed": 7})
    with pytest.raises(ValueError, match="data.rooot: Extra inputs are not permitted"):
        config.load(path, rooot="x")


def test_yaml_1_1_reads_5e_4_as_text_and_we_as_a_number(tmp_path):
    path = write(tmp_path, yaml.safe_dump(BASE).replace("rate: 0.05", "rate: 5e-4"))
    assert config.load(path).streams["spatial"].stages[0].schedule.rate == 5e-4


def test_an_experiment_cannot_be_changed(tmp_path):
    experiment = config.load(write(tmp_path, BASE))
    with pytest.raises(ValueError, match="frozen"):
        experiment.seed = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {}}, "streams: .*a spatial stream, a temporal stream, or both"),
        ({"fusion": {"temporal": -1}}, "fusion.temporal: Input should be greater than or equal"),
        ({"model": {"options": {"fusion_weights": [1, 2]}}}, "'fusion_weights' is set by fusion"),
        ({"model": {"options": {"weights": "x"}}}, "is set by streams.<name>.init.weights"),
    ],
)
def test_settings_have_one_place(tmp_path, change, message):
    with pytest.raises(ValueError, match=f"(?s)1 problems.*{message}"):
        config.load(write(tmp_path, {**BASE, **change}))


def test_streams_come_in_the_order_of_the_fusion_weights(tmp_path):
    stage = {"name": "all", "epochs": 1, "batch_size": 2, "schedule": {"rate": 0.1}}
    streams = {"temporal": {"stages": [stage]}, "spatial": {"stages": [stage]}}
    assert list(config.load(write(tmp_path, {**BASE, "streams": streams})).streams) == [
        "spatial",
        "temporal",
    ]
