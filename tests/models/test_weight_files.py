"""Files of weights that were not made for the model, or not by Keras, or not in good faith."""

import re

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from vidrec.models.backbones.vgg16 import vgg16
from vidrec.models.weight_files import check_weights, load_weights

SECRET = np.arange(6, dtype=np.float32).reshape(3, 2) + 1000


def network(*units, name="net"):
    clips = x = keras.Input((3,), name="rgb")
    for number, count in enumerate(units):
        x = layers.Dense(count, bias_initializer="normal", name=f"dense{number}")(x)
    return keras.Model(clips, x, name=name)


@pytest.fixture
def file(tmp_path):
    """A whole file, of a network of one layer (3, 2)."""
    network(2).save_weights(tmp_path / "model.weights.h5")
    return tmp_path / "model.weights.h5"


@pytest.fixture
def secret(tmp_path):
    """A file of the machine that another file is to get at: as HDF5, and as plain bytes."""
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["private"] = SECRET
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    return tmp_path


def refused(path, message, model=None):
    """Refused with the message and the file's name; nothing has got into the model."""
    model = model or network(2)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(model, path)
    assert str(path) in str(caught.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_was_saved_is_loaded(tmp_path):
    model, other = network(4, 2), network(4, 2)
    model.save_weights(tmp_path / "model.weights.h5")
    load_weights(other, str(tmp_path / "model.weights.h5"))
    for saved, found in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, saved)


def test_a_compiled_model_s_optimizer_is_passed_over(tmp_path):
    model, other = network(2), network(2)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    load_weights(other, tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_file_of_something_else(file):
    data = file.read_bytes()
    for wrong, message in {
        data[: len(data) // 2]: "cannot be read: it is cut off. Copy or download it again",
        b"": "cannot be read: it is no HDF5 file",
        b"weights, I promise\n": "cannot be read: it is no HDF5 file, or a damaged one. Copy",
        b"\x80\x04\x95cos\nsystem\n": "cannot be read: it is no HDF5 file",
    }.items():
        file.write_bytes(wrong)
        refused(file, message)


def test_a_damaged_file(file):
    """Its tree of names is overwritten; the array's values are not looked at."""
    data = bytearray(file.read_bytes())
    at = data.index(b"TREE")
    data[at : at + 4] = b"EERT"
    file.write_bytes(data)
    refused(file, "is damaged. Copy or download it again")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be there. Received: .*absent.weights.h5"):
        load_weights(network(2), tmp_path / "absent.weights.h5")
    with pytest.raises(ValueError, match=r"must be a .weights.h5 of .*Received: .*model.keras"):
        load_weights(network(2), tmp_path / "model.keras")


def test_weights_of_another_network(file):
    """Keras itself takes the last: it passes over what it does not look for."""
    other = "of another network than 'net'. It must be built as the one .* config.yaml"
    refused(file, other + ".*2 arrays of 8 numbers, where the model has 2 arrays of 12", network(3))
    refused(
        file, other + r".*4 arrays of 14 .* \[\(2,\), \(2, 2\)\], there are fewer", network(2, 2)
    )
    larger = file.with_name("larger.weights.h5")
    network(2, 4).save_weights(larger)
    network(2).load_weights(larger)
    refused(larger, other + r".*4 arrays of 20 .* \[\(2, 4\), \(4,\)\], there are more")


def test_the_same_shapes_in_another_order(tmp_path):
    path = tmp_path / "model.weights.h5"
    clips = keras.Input((3,), name="rgb")
    wide = layers.Dense(3, use_bias=False)(layers.Dense(5, use_bias=False)(clips))
    keras.Model(clips, wide).save_weights(path)  # (3, 5), (5, 3)
    halves = keras.Input((8,), name="rgb")
    first = layers.Dense(3, use_bias=False)(halves[:, :5])
    second = layers.Dense(5, use_bias=False)(halves[:, 5:])
    model = keras.Model(halves, [first, second], name="net")
    with pytest.raises(ValueError, match="of another network than 'net'.*Received: "):
        load_weights(model, path)


WHERE = "layers/dense/vars/0"


def link_outside(file, folder):
    del file[WHERE]
    file[WHERE] = h5py.ExternalLink(str(folder / "secret.h5"), "/private")


def link_group_outside(file, folder):
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def link_inside(file, folder):
    file["again"] = h5py.SoftLink("/layers/dense/vars/1")


def virtual(file, folder):
    del file[WHERE]
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "private", (3, 2))
    file.create_virtual_dataset(WHERE, layout)


def external_values(file, folder):
    del file[WHERE]
    file.create_dataset(WHERE, (3, 2), "f4", external=[(str(folder / "secret.bin"), 0, 24)])


def objects(file, folder):
    del file[WHERE]
    file.create_dataset(WHERE, (3, 2), h5py.string_dtype())


def hollow(file, folder):
    del file[WHERE]
    file.create_dataset(WHERE, (2**20, 2**20), "f4")  # 4 TB, of which nothing is written


def compressed(file, folder):
    del file[WHERE]
    file.create_dataset(WHERE, data=np.zeros((2**10, 2**10)), compression="gzip")


def circle(file, folder):
    file["layers/dense/inner"] = file["layers"]


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        (link_outside, "'layers/dense/vars/0' is a link to another place or file"),
        (link_group_outside, "'layers/dense' is a link to another place or file"),
        (link_inside, "'again' is a link to another place"),
        (virtual, "the values of 'layers/dense/vars/0' lie in another file"),
        (external_values, "the values of 'layers/dense/vars/0' lie in another file"),
        (objects, "'layers/dense/vars/0' is no array of numbers"),
        (hollow, "'layers/dense/vars/0' says that it has 4398046511104 bytes, and has fewer"),
        (compressed, "'layers/dense/vars/0' says that it has 8388608 bytes, and has fewer"),
        (circle, "'layers/dense/inner' is there under another name as well"),
    ],
)
def test_a_file_that_reaches_further(attack, what, file, secret):
    with h5py.File(file, "r+") as opened:
        attack(opened, secret)
    refused(file, "must hold plain, uncompressed arrays.*" + re.escape(what))
    assert not (network(2).get_weights()[0] >= 1000).any()


def test_h5py_would_read_the_secret(file, secret):
    """What the files above reach for is there, and is got by who does not look first."""
    for attack in (link_outside, virtual, external_values):
        with h5py.File(file, "r+") as opened:
            attack(opened, secret)
        with h5py.File(file, "r") as opened:
            np.testing.assert_array_equal(opened[WHERE][()], SECRET)


def test_files_of_keras_applications_are_looked_at_as_well(file, secret):
    assert check_weights(file) == {WHERE: (3, 2), "layers/dense/vars/1": (2,)}
    with h5py.File(file, "r+") as opened:
        link_outside(opened, secret)
    with pytest.raises(ValueError, match="is a link to another place or file"):
        vgg16(32, 3, weights=file)


def test_a_file_of_another_network_of_keras_applications(file):
    with pytest.raises(ValueError, match="must be a file of this network.*notop.h5 is.*el.weights"):
        vgg16(32, 3, weights=file)
