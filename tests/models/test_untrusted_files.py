"""`.keras` files that really try: each is refused, and nothing that it asks for is done."""

import io
import json
import pickle
import re
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tests.models.conftest import logits
from vidrec.models.layers.fusion import weight_scores
from vidrec.models.saved import load_model

CODE = "no Python code.*would run on this machine.*with code in 'sneaky'. If .* ask for its weights"
FOREIGN = "must be made of the layers that vidrec's models are made of"


def network():
    clips = keras.Input((3,), name="rgb")
    x = layers.Dense(2, bias_initializer="normal", name="dense")(clips)
    x = weight_scores(x, 1.5, name="spatial_weight")
    return keras.Model({"rgb": clips}, x, name="net")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What a good file is made of: {member: bytes}."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


@pytest.fixture
def marker(tmp_path):
    """A file that is there if a file was obeyed."""
    return tmp_path / "marker"


def write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def describing(parts, layer):
    """The parts, with another description of the layer "dense"."""
    config = json.loads(parts["config.json"])
    found = config["config"]["layers"]
    where = next(n for n, each in enumerate(found) if each["name"] == "dense")
    found[where] = {**found[where], **layer}
    return {**parts, "config.json": json.dumps(config)}


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_a_good_file_is_loaded(parts, path):
    write(path, parts)
    loaded, again = load_model(path), load_model(str(path))
    clips = {"rgb": np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)}
    assert np.ptp(logits(loaded, clips)) > 0.1
    np.testing.assert_array_equal(logits(again, clips), logits(loaded, clips))


def test_a_compiled_model_is_loaded_without_its_optimizer(path):
    model = network()
    model.compile("adam", "mse")
    model.fit({"rgb": np.ones((2, 3))}, np.ones((2, 2)), verbose=0)
    model.save(path)
    loaded = load_model(path)
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.fixture
def lambda_model(marker, monkeypatch):
    """A model whose layer writes the marker whenever it is called, to be built for instance."""
    monkeypatch.chdir(marker.parent)
    clips = keras.Input((3,), name="rgb")
    sneaky = layers.Lambda(lambda x: (open("marker", "w").close(), x)[1], name="sneaky")  # noqa: SIM115
    model = keras.Model(clips, sneaky(clips), name="inner")
    marker.unlink()
    return model


def test_a_python_lambda(lambda_model, path, marker):
    lambda_model.save(path)
    refused(path, CODE)
    assert not marker.exists()
    keras.saving.load_model(path, safe_mode=False)
    assert marker.exists()  # it would have run


def test_a_python_lambda_in_a_model_within(lambda_model, path, marker):
    clips = keras.Input((3,), name="rgb")
    keras.Model(clips, lambda_model(clips)).save(path)
    refused(path, CODE)
    assert not marker.exists()


def test_an_older_file_of_a_whole_model_is_never_one(lambda_model, path, marker):
    older = path.with_suffix(".h5")
    lambda_model.save(older)
    refused(older, "Older .h5 files can carry code and are not loaded as models. If you need this")
    older.rename(path)  # under another name
    refused(path, r"must be a zip of config.json, .*: it begins with b'.x89HDF'")
    assert not marker.exists()


def call(module, kind, **options):
    return {"module": module, "class_name": kind, "registered_name": None, "config": options}


def function(module, name):
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


def calling(module, name, **arguments):
    return call("keras.layers", "Lambda", function=function(module, name), arguments=arguments)


TOUCH = "touch MARKER"
ACTIVATION = {"name": "dense", "units": 2, "activation": function("keras.utils", "set_random_seed")}
RENAMED = call("os", "system", command=TOUCH) | {"registered_name": "vidrec>SameVideos"}
ATTACKS = {  # the layer "dense" as described, by what it names
    # Keras 3.15 refuses these in safe mode,
    "os.system": calling("os", "system", command=TOUCH),
    "posix.system": call("posix", "system", command=TOUCH),
    "builtins.exec": calling("builtins", "exec", source="open('MARKER', 'w')"),
    "builtins.eval": call("builtins", "eval", source="open('MARKER', 'w')"),
    "subprocess.Popen": call("subprocess", "Popen", args=TOUCH, shell=True),
    "vidrec.files.write_atomic": calling("vidrec.files", "write_atomic", path="MARKER"),
    "keras.utils.get_file": calling("keras.utils", "get_file", origin="file://SECRET"),
    "keras.config.enable_unsafe_deserialization": calling(
        "keras.config", "enable_unsafe_deserialization"
    ),
    "keras.layers.TFSMLayer": call("keras.layers", "TFSMLayer", filepath="SECRET"),
    "keras.layers.StringLookup": call("keras.layers", "StringLookup", vocabulary="SECRET"),
    "vidrec>Absent": call("vidrec.models", "Absent") | {"registered_name": "vidrec>Absent"},
    # and these it calls, or reads as older descriptions, which look layers up by another key.
    "keras.utils.plot_model": calling("keras.utils", "plot_model", to_file="MARKER"),
    "keras.utils.set_random_seed": {"config": ACTIVATION},
    "None.Dense": {"module": None},
    "None.None": {"class_name": ["Dense"], "module": ["keras.layers"]},
    "vidrec>SameVideos": RENAMED,
}


@pytest.mark.parametrize("named", ATTACKS)
def test_a_name_that_no_model_of_ours_is_made_of(named, parts, path, marker):
    secret = path.with_name("secret.txt")
    secret.write_text("private\n")
    members = describing(parts, ATTACKS[named])
    text = members["config.json"].replace("MARKER", str(marker)).replace("SECRET", str(secret))
    write(path, {**members, "config.json": text})
    refused(path, f"{FOREIGN}.*names {named!r} in 'dense'; it was not looked up.*version that did")
    assert not marker.exists()


def test_nothing_is_imported_for_a_name(parts, path):
    (path.parent / "planted.py").write_text("raise SystemExit('imported')")
    write(path, describing(parts, call("planted", "Layer")))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        refused(path, FOREIGN)
    assert "planted" not in sys.modules


def test_code_in_the_form_of_older_lambda_layers(parts, path):
    older = call("keras.layers", "Lambda", function=["4wEAAAA=", None, None])
    write(path, describing(parts, older))
    refused(path, CODE.replace("sneaky", "dense"))


def test_a_description_that_no_model_can_be_built_of(parts, path):
    options = {"name": "dense", "units": -1}
    write(path, describing(parts, {"config": options}))
    refused(path, "describes no model that can be built with these weights.*units=-1")


NO_FILE = r"must be a zip of config.json, metadata.json and model.weights.h5, as model.save\("


def test_files_of_something_else(parts, path):
    empty = b"PK\x05\x06" + b"\0" * 18
    for data in (b"", b"a model, I promise\n", pickle.dumps({"model": 1}), empty):
        path.write_bytes(data)
        refused(path, NO_FILE + ".*it begins with " + re.escape(repr(data[:4])))
    write(path, {"readme.txt": b"x"})
    refused(path, NO_FILE + r".*it holds \['readme.txt'\]")
    for config, what in {
        b"{": "is no JSON",
        b"\xff": "is no JSON",
        b"[" * 100_000: "is no JSON",
        b"[]": "describes no model",
        b'{"a": 1}': "describes no model",
    }.items():
        write(path, {**parts, "config.json": config})
        refused(path, f"{NO_FILE}.*config.json {what}")


def test_a_folder_or_nothing(tmp_path):
    refused(tmp_path, "A folder is a SavedModel, which `vidrec predict` and tf.saved_model.load")
    refused_name = tmp_path / "model.tar"
    refused_name.touch()
    refused(refused_name, "must be a .keras file. Received")
    weights = tmp_path / "a.weights.h5"
    weights.touch()
    refused(
        weights, "holds weights alone: build the model, and load them by vidrec.models.weight_f"
    )
    for absent in (tmp_path / "absent.keras", "gs://bucket/model.keras", "hf://user/model.keras"):
        with pytest.raises(FileNotFoundError, match="must be a .keras file that is there"):
            load_model(absent)


def test_a_file_that_is_cut_off_or_damaged(parts, path):
    write(path, parts)
    data = bytearray(path.read_bytes())
    for end in (5, 1000, len(data) - 30):
        path.write_bytes(data[:end])
        refused(path, "is cut off or damaged. Copy or download it again")
    data[data.index(b"HDF") + 3000] ^= 1
    path.write_bytes(data)
    refused(path, "is cut off or damaged.*Bad CRC-32 for file 'model.weights.h5'")


@pytest.mark.parametrize("name", ["../marker", "/tmp/marker", "assets/x", "model.weights.npz"])
def test_members_that_keras_does_not_write(name, parts, path):
    write(path, {**parts, name: b"x"})
    refused(path, f"{NO_FILE}.*it holds .*{re.escape(name)}")


def test_a_member_twice(parts, path):
    write(path, parts)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    refused(path, NO_FILE + r".*it holds \['config.json', 'config.json'")


def test_a_zip_bomb(parts, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**parts, "metadata.json": b" " * 2**25}.items():
            archive.writestr(name, data)
    refused(path, "must not become more than 64 times its size, and 16777216 bytes.*would become 3")


def test_a_file_that_was_zipped_again_is_loaded(parts, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert load_model(path).name == "net"


def test_weights_that_reach_further(parts, path):
    """What `test_weight_files` has, inside."""
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/hostname", "/private")
    write(path, {**parts, "model.weights.h5": weights.getvalue()})
    refused(
        path, "model.weights.h5, where 'layers/dense/vars/0' is a link to another place or file"
    )
    for data, what in ((b"x" * 2000, "no HDF5"), (weights.getvalue()[:3000], "is cut off")):
        write(path, {**parts, "model.weights.h5": data})
        refused(path, f"model.weights.h5 cannot be read: it .*{what}")


def test_an_array_of_objects_for_weights(parts, path):
    """A pickle, which NumPy would have to load."""
    objects = io.BytesIO()
    np.savez(objects, x=np.array([print, {}], dtype=object))
    members = {name: data for name, data in parts.items() if name != "model.weights.h5"}
    write(path, {**members, "model.weights.npz": objects.getvalue()})
    refused(path, NO_FILE)
    write(path, {**parts, "model.weights.h5": objects.getvalue()})
    refused(path, "it is no HDF5 file")
