import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidrec.evaluation.scores import (
    Scores,
    inference,
    load_scores,
    predict_scores,
    save_scores,
)

V, N = 7, 4


def arguments(**changes):
    rng = np.random.default_rng(3)
    given = {
        "video_id": [f"v_{i:02d}" for i in rng.permutation(V)],
        "logits": rng.normal(size=(V, N)),
        "label": rng.integers(0, N, V),
        "classes": ["Archery", "Billiards", "CliffDiving", "Été"],
        "stamp": {"stream": "spatial", "protocol": "3x1", "seeds": (0, 1, 2)},
    }
    return {**given, **changes}


def test_types_and_shapes():
    given = arguments()
    scores = Scores(**given)
    assert scores.video_id.dtype.kind == "U"
    assert scores.video_id.tolist() == given["video_id"]
    assert scores.logits.dtype == np.float32
    assert scores.logits.shape == (V, N)
    assert scores.label.dtype == np.int64
    assert scores.classes == tuple(given["classes"])
    assert [type(name) for name in scores.classes] == [str] * N
    assert scores.stamp["seeds"] == [0, 1, 2]


def test_arrays_are_copies_and_read_only():
    given = arguments(logits=arguments()["logits"].astype(np.float32))  # the dtype that is kept
    scores = Scores(**given)
    before = scores.logits.copy()
    given["logits"] += 1
    np.testing.assert_array_equal(scores.logits, before)
    with pytest.raises(ValueError, match="read-only"):
        scores.logits[0, 0] = 0
    with pytest.raises(AttributeError):
        scores.label = np.zeros(V, int)


def with_value(value):
    logits = np.random.default_rng(4).normal(size=(V, N))
    logits[2, 1] = value
    return logits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video_id": []}, "`video_id` must be one or more str. Received: 0 values"),
        ({"video_id": ["a", b"b"] * 3}, r"Received: 6 values, not str: \[b'b', b'b', b'b'\]"),
        (
            {"video_id": list("abcacdd")},
            r"`video_id` must not repeat a name. Received: 3, \['a', 'c', 'd'\]",
        ),
        ({"classes": list("xyxz")}, r"`classes` must not repeat a name. Received: 1, \['x'\]"),
        (
            {"logits": np.zeros((N, V))},
            r"`logits` must have shape \(V, N\) = \(7, 4\). Received: logits.shape=\(4, 7\)",
        ),
        ({"logits": with_value(np.nan)}, r"`logits` must be finite. Received: NaN or Inf in 1, \["),
        ({"logits": with_value(1e300)}, "`logits` must be finite"),
        ({"label": np.zeros(V)}, r"`label` must be integers of shape \(V,\) = \(7,\).*=float64"),
        ({"label": np.zeros((V, 1), int)}, r"label.shape=\(7, 1\)"),
        ({"label": [0, 1, 2, 3, 4, 0, 1]}, r"`label` must be in 0..3. Received: 0..4"),
        ({"label": [0, 1, -1, 3, 2, 0, 1]}, r"`label` must be in 0..3. Received: -1..3"),
        ({"stamp": {"weights": np.float32(1)}}, "`stamp` must be a JSON dict. Received: {'weights"),
        ({"stamp": {"loss": float("nan")}}, "`stamp` must be a JSON dict"),
        ({"stamp": "spatial"}, "`stamp` must be a JSON dict. Received: spatial"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Scores(**arguments(**changes))


def test_file_gives_back_every_bit(tmp_path):
    path = tmp_path / "run" / "spatial.npz"
    scores = Scores(**arguments())
    save_scores(path, scores)
    loaded = load_scores(path)
    np.testing.assert_array_equal(loaded.video_id, scores.video_id)
    np.testing.assert_array_equal(loaded.logits, scores.logits)
    np.testing.assert_array_equal(loaded.label, scores.label)
    assert (loaded.classes, loaded.stamp) == (scores.classes, scores.stamp)
    assert [file.name for file in path.parent.iterdir()] == ["spatial.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file) == ["classes", "label", "logits", "stamp", "video_id"]
        assert file["stamp"].shape == ()
        assert json.loads(str(file["stamp"]))["stream"] == "spatial"


def test_missing_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/nowhere.npz"):
        load_scores("nowhere.npz")


def test_other_files_are_no_score_files(tmp_path):
    text, other, broken = (tmp_path / name for name in ("a.txt", "b.npz", "c.npz"))
    text.write_text("Archery 0.9")
    with pytest.raises(ValueError, match="a.txt: A score file must be a .npz. Received: another"):
        load_scores(text)
    np.savez(other, logits=np.zeros((2, 3)), video_id=np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"b.npz: .*without \['label', 'classes', 'stamp'\]"):
        load_scores(other)
    save_scores(broken, Scores(**arguments()))
    data = bytearray(broken.read_bytes())
    place = data.index(b"logits.npy") + 200  # inside the numbers: the checksum must notice
    data[place] ^= 0xFF
    broken.write_bytes(data)
    with pytest.raises(ValueError, match="c.npz: .*CRC"):
        load_scores(broken)


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "evil.npz"
    given = Scores(**arguments())
    objects = np.array(given.classes, dtype=object)
    content = {**vars(given), "stamp": np.array("{}"), "classes": objects}
    np.savez(path, **content)
    assert zipfile.is_zipfile(path)
    with pytest.raises(ValueError, match="evil.npz: Object arrays cannot be loaded"):
        load_scores(path)


@pytest.fixture(scope="module")
def model():
    """Flow is used and batch normalisation is in it: inference mode and the dict both matter."""
    keras.utils.set_random_seed(5)
    rgb, flow = keras.Input((2, 3), name="rgb"), keras.Input((2, 2), name="flow")
    merged = keras.layers.Concatenate()([rgb, flow])
    merged = keras.layers.BatchNormalization(momentum=0.1)(keras.layers.Flatten()(merged))
    return keras.Model({"rgb": rgb, "flow": flow}, keras.layers.Dense(N)(merged))


def dataset(names, examples=V):
    rng = np.random.default_rng(6)
    inputs = {
        "rgb": rng.normal(size=(examples, 2, 3)).astype(np.float32),
        "flow": rng.normal(size=(examples, 2, 2)).astype(np.float32),
    }
    label = rng.integers(0, N, examples)
    facts = {"video_id": names[:examples]}
    return inputs, label, tf.data.Dataset.from_tensor_slices((inputs, label, facts)).batch(3)


def test_predict_keeps_order_labels_and_weights(model):
    given = arguments()
    inputs, label, data = dataset(given["video_id"])  # batches of 3, 3, 1
    before = [weight.copy() for weight in model.get_weights()]
    scores = predict_scores(model, data, given["video_id"], given["classes"], given["stamp"])
    expected = model(inputs, training=False)
    np.testing.assert_allclose(scores.logits, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(scores.label, label)
    assert scores.video_id.tolist() == given["video_id"]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_views_are_averaged(model):
    rng = np.random.default_rng(7)
    shapes = {"rgb": (4, 5, 2, 3), "flow": (4, 5, 2, 2)}  # B = 4, five views
    inputs = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    each = [np.array(model({name: x[:, i] for name, x in inputs.items()})) for i in range(5)]
    found = inference(model, views_on="scores")(inputs)
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
    found = inference(model, views_on="probabilities")(inputs)
    expected = np.mean([keras.ops.softmax(logits) for logits in each], axis=0)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-5)
    assert np.abs(expected - keras.ops.softmax(np.mean(each, axis=0))).max() > 1e-3


def test_predict_takes_the_videos_that_it_was_promised_in_their_order(model):
    names, classes = [f"v{i}" for i in range(V + 1)], arguments()["classes"]
    _, _, data = dataset(names)
    found = "one example of each of the V = {}.*Received: {} examples, the last of .'{}'"
    for promised, given, message in [
        (names, data, found.format(8, 7, "v6")),
        (names[:4], data.repeat(), found.format(4, 6, "v5")),
        ([*names[:5], "v6", "v5"], data, found.format(7, 6, "v5")),
    ]:
        with pytest.raises(ValueError, match=message):
            predict_scores(model, given, promised, classes, {})
