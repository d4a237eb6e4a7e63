import numpy as np
import pandas as pd
import pytest

from tests.evaluation.test_fusion import CLASSES, LABEL, V, by_id, stream
from vidrec.evaluation.fusion import fuse
from vidrec.evaluation.imported import import_scores
from vidrec.evaluation.scores import load_scores, save_scores

TEST = {"protocol": "3x1", "split": "official1", "experiment": "other"}


@pytest.fixture
def ours():
    return stream(4)


def table(scores):
    found = pd.DataFrame(scores.logits, columns=list(scores.classes))
    found.insert(0, "video_id", scores.video_id)
    found.insert(1, "label", [scores.classes[i] for i in scores.label])
    return found


def test_a_table_fuses_with_ours(ours, tmp_path):
    table(ours).to_csv(tmp_path / "theirs.csv", index=False)
    theirs = import_scores(tmp_path / "theirs.csv", test=TEST)
    assert theirs.classes == CLASSES
    assert theirs.label.tolist() == ours.label.tolist()
    assert theirs.stamp == {
        "imported": str(tmp_path / "theirs.csv"),
        "protocol": "3x1",
        "split": "official1",
    }
    save_scores(tmp_path / "theirs.npz", theirs)
    both = fuse([stream(5), load_scores(tmp_path / "theirs.npz")], (1, 2))
    one, two = by_id(stream(5)), by_id(ours)
    expected = np.stack([one[name] + 2 * two[name] for name in both.video_id])
    np.testing.assert_allclose(both.logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "coded"),
    [
        (("video_id", "label", "logits", "classes"), str),
        (("ids", "labels", "scores", "class_names"), np.bytes_),
        (("Names", "y_true", "y_pred", "Classes"), str),
    ],
)
def test_arrays_by_other_names(ours, tmp_path, names, coded):
    video_id, label, logits, classes = names
    arrays = {
        video_id: ours.video_id.astype(np.dtype(coded)),
        label: ours.label,
        logits: ours.logits,
        classes: np.array(ours.classes, np.dtype(coded)),
    }
    np.savez(tmp_path / "theirs.npz", **arrays)
    theirs = import_scores(tmp_path / "theirs.npz", test=TEST)
    assert theirs.video_id.tolist() == ours.video_id.tolist()
    assert theirs.classes == CLASSES
    np.testing.assert_array_equal(theirs.logits, ours.logits)


def test_probabilities_become_logits(ours, tmp_path):
    powers = np.exp(ours.logits.astype(np.float64))
    shares = powers / powers.sum(axis=1, keepdims=True)
    shares[0] = np.eye(5)[2]
    np.savez(tmp_path / "p.npz", ids=ours.video_id, labels=ours.label, probabilities=shares)
    found = import_scores(tmp_path / "p.npz", test=TEST, classes=CLASSES, probabilities=True)
    np.testing.assert_allclose(np.exp(found.logits[1:]), shares[1:], rtol=1e-5)
    assert np.isfinite(found.logits).all()
    assert found.logits[0].argmax() == 2
    np.savez(tmp_path / "p.npz", ids=ours.video_id, labels=ours.label, scores=ours.logits)
    with pytest.raises(ValueError, match="must hold probabilities, whose sum is 1. Received: -"):
        import_scores(tmp_path / "p.npz", test=TEST, classes=CLASSES, probabilities=True)
    np.savez(tmp_path / "p.npz", ids=ours.video_id, labels=ours.label, scores=np.full((V, 5), 0.9))
    with pytest.raises(ValueError, match="with sums of 4.5 to 4.5"):
        import_scores(tmp_path / "p.npz", test=TEST, classes=CLASSES, probabilities=True)


def test_labels_are_numbers_or_names(ours, tmp_path):
    found = table(ours)
    for labels in (ours.label, ours.label.astype(str), found.label):
        found.assign(label=labels).to_csv(tmp_path / "x.csv", index=False)
        assert import_scores(tmp_path / "x.csv", test=TEST).label.tolist() == ours.label.tolist()
    found.assign(label=["nobody", *found.label[1:]]).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ValueError, match=r"x.csv: a label must be a class. Received: \['nobody'\]"):
        import_scores(tmp_path / "x.csv", test=TEST)


def test_numbers_that_are_names(tmp_path):
    """Classes "1" and "0": a label is a name first."""
    (tmp_path / "x.csv").write_text("video_id,label,1,0\na,1,0.5,0.25\nb,0,1,2\n")
    assert import_scores(tmp_path / "x.csv", test=TEST).label.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video,label,a\nx,a,1\n", r"must have the columns video_id, label and one for each class"),
        ("video_id,label\nx,a\n", r"must have the columns video_id"),
        ("video_id,label,a\nx,a,nan\n", r"`logits` must be finite"),
        ("video_id,label,a\nx,a,1\nx,a,1\n", r"`video_id` must not repeat"),
        ("video_id,label,a\nx,3,1\n", r"`label` must be in 0..0"),
        (",video_id,label,a\n0,x,a,1\n", r"each once. Received: \['', 'video_id'"),
        ("video_id,label,a,a\nx,a,1,2\n", r"each once"),
        ("video_id,label,a\nx,a,high\n", r"must hold a number for each class"),
    ],
)
def test_tables_that_are_none(tmp_path, content, message):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        import_scores(tmp_path / "x.csv", test=TEST)


def test_videos_and_classes_called_na(tmp_path):
    (tmp_path / "x.csv").write_text("video_id,label,NA,nan\nNA,nan,1,0.5\nnull,NA,0,1\n")
    found = import_scores(tmp_path / "x.csv", test=TEST)
    assert found.video_id.tolist() == ["NA", "null"]
    assert found.classes == ("NA", "nan")
    assert found.label.tolist() == [1, 0]


def test_files_that_are_none(ours, tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a file. Received: .*none.csv"):
        import_scores(tmp_path / "none.csv", test=TEST)
    (tmp_path / "x.txt").touch()
    with pytest.raises(ValueError, match="must be a .csv or .npz"):
        import_scores(tmp_path / "x.txt", test=TEST)
    np.savez(tmp_path / "x.npz", ids=ours.video_id, scores=ours.logits)
    with pytest.raises(
        ValueError, match=r"arrays video_id, label and logits. .*\['ids', 'scores'\]"
    ):
        import_scores(tmp_path / "x.npz", test=TEST)
    np.savez(tmp_path / "x.npz", ids=ours.video_id, scores=ours.logits, labels=LABEL[:V])
    with pytest.raises(ValueError, match="does not name its classes: give them with --classes"):
        import_scores(tmp_path / "x.npz", test=TEST)
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"x.npz is damaged"):
        import_scores(tmp_path / "x.npz", test=TEST)
    table(ours).to_csv(tmp_path / "x.csv", index=False)
    swapped = (*CLASSES[:3], CLASSES[4], CLASSES[3])
    with pytest.raises(ValueError, match="in their order. .* position 3: 'class_3' and 'class_4'"):
        import_scores(tmp_path / "x.csv", test=TEST, classes=swapped)
