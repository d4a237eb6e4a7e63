import pytest

from vidrec.datasets.ucf11 import UCF11, WORDS


@pytest.fixture
def names(shared_data):
    return (shared_data / "ucf11/files.txt").read_text().split()


def make(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_the_1600_videos(names, tmp_path):
    make(tmp_path / "UCF11_updated_mpg", names)
    make(tmp_path / "UCF11_updated_mpg", ["biking/Annotation/v_biking_01_01.xgtf"])
    table = UCF11().videos(tmp_path)
    assert table.label.value_counts().to_dict() == UCF11.sizes
    assert table.groupby("label").group.nunique().to_dict() == dict.fromkeys(UCF11.sizes, 25)
    for row in table.itertuples():
        folder, _, file = row.path.split("/")[-3:]
        assert row.label == folder  # the file's own word is another
        assert row.video_id == f"{folder}/{file.removesuffix('.mpg')}"
        assert row.group == f"g{file[-9:-7]}"
    assert sorted(WORDS.values()) == UCF11().classes(table=table) == list(UCF11.sizes)


def test_layouts_do_not_matter(names, tmp_path):
    flat = UCF11().videos(make(tmp_path / "flat", [name.split("/")[-1] for name in names]))
    deep = UCF11().videos(make(tmp_path / "deep", names))
    assert flat.drop(columns="path").equals(deep.drop(columns="path"))


def test_protocols(names, tmp_path):
    dataset, root = UCF11(), make(tmp_path, names)
    assert dataset.folds == "leave-one-group-out"
    tests = [dataset.splits(root, f"leave-one-group-out-{n}").test for n in (1, 25)]
    assert [set(test.group) for test in tests] == [{"g01"}, {"g25"}]
    assert all(set(test.label) == set(UCF11.sizes) for test in tests)
    split = dataset.splits(root, "random-7:3", seed=0)
    assert (split.found, split.missing, split.expected) == (1600, 0, 1600)
    assert len(split.test) == pytest.approx(480, abs=6)
    split = dataset.splits(root, "grouped-7:3", seed=0)
    assert len(set(split.test.group)) == 8  # 7.5
    with pytest.raises(ValueError, match="splits of ucf11 are called leave-one-group-out-1 and so"):
        dataset.splits(root, "official-1")


def test_missing_videos_are_counted_by_class(names, tmp_path):
    root = make(tmp_path, names[3:-1])
    with pytest.raises(
        FileNotFoundError, match=r"4 of 1,600 missing, .*\['3 of basketball', '1 of w"
    ):
        UCF11().splits(root, "random-7:3")
    split = UCF11().splits(root, "random-7:3", allow_missing=True)
    assert (split.missing, split.missing_names) == (4, ("3 of basketball", "1 of walking"))
    # of a part, the third group need not be g03
    with pytest.raises(
        ValueError, match=r"number counts the groups .*and 4 videos are missing. Name"
    ):
        UCF11().splits(root, "leave-one-group-out-3", allow_missing=True)
    split = UCF11().splits(root, "groups", test_groups=["g03"], allow_missing=True)
    assert set(split.test.group) == {"g03"}


def test_a_word_of_no_class(tmp_path):
    make(tmp_path, ["swing/v_swing_01_01.mpg", "swing/v_sving_01_02.mpg"])
    with pytest.raises(ValueError, match="must be called v_<word>_<group>_<clip>.*1 of 2 that are"):
        UCF11().videos(tmp_path)
