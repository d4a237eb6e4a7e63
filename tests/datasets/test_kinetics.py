import csv
import shutil

import pytest

from vidrec.datasets.gate import SplitError
from vidrec.datasets.registry import get

CLASSES = {"kinetics400": 400, "kinetics600": 600}
K400 = "label,youtube_id,time_start,time_end,split,is_cc\n"
K600 = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture(params=sorted(CLASSES))
def dataset(request):
    return get(request.param)


def sample(shared_data, dataset):
    """The rows of the official sample, read by the standard library."""
    path = shared_data / f"kinetics/{dataset.name[:8]}-{dataset.number}_val_sample.csv"
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_the_official_samples_parse(shared_data, dataset):
    rows = sample(shared_data, dataset)
    assert len(rows) == 150
    listing = dataset.listing("official", shared_data / "kinetics")
    assert not listing.problems
    assert len(listing.classes) == CLASSES[dataset.name]
    assert set(listing.videos.label) <= set(listing.classes)
    assert list(zip(listing.videos.label, listing.videos.group, strict=True)) == [
        (row["label"], row["youtube_id"]) for row in rows
    ]
    assert listing.videos.key.tolist() == [
        f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
        for row in rows
    ]
    assert set(listing.videos.side) == {"test"}  # the papers' test is the validation list
    assert listing.videos.line[149].endswith(f"{dataset.number}_val_sample.csv line 151")


def test_a_list_without_training_is_no_split(shared_data, dataset):
    with pytest.raises(SplitError, match="train must list videos. Received: none"):
        dataset.checked("official", shared_data / "kinetics")


def test_the_sampled_clips_in_class_folders_and_flat(shared_data, dataset, tmp_path):
    rows = sample(shared_data, dataset)
    for number, row in enumerate(rows):
        folder = row["label"].replace(" ", "_").replace("(", "-").replace(")", "-")
        seconds = f"_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
        stem = row["youtube_id"] + (seconds if number % 2 else "")
        touch(tmp_path, f"{folder}/{stem}.mp4" if number % 3 else f"{stem}.mkv")
    table = dataset.videos(tmp_path, lists=shared_data / "kinetics")
    assert sorted(zip(table.group, table.label, strict=True)) == sorted(
        (row["youtube_id"], row["label"]) for row in rows
    )
    names = {video_id.split("/")[1] for video_id in table.video_id}
    assert all(len(name) == 11 + 14 for name in names)  # of <id>.mp4, too: the list has the rest


LISTS = {
    "train": K400 + '"air drumming",aaaaaaaaaaa,1,11,train,0\nabseiling,Aaaaaaaaaaa,0,10,train,1\n'
    "abseiling,-_bbbbbbbbb,5.0,15.0,train,0\n",
    "val": K400 + "abseiling,ccccccccccc,3,13,val,0\nair drumming,ddddddddddd,2,12,val,0\n",
    "test": K600 + "air drumming,eeeeeeeeeee,7,17,test\n",
}
FILES = (
    "train/air_drumming/aaaaaaaaaaa_000001_000011.mp4",
    "train/abseiling/Aaaaaaaaaaa.mp4",
    "train/abseiling/-_bbbbbbbbb_000005_000015.mp4",
    "val/ccccccccccc_000003_000013.mp4",
    "val/ddddddddddd.webm",
    "test/eeeeeeeeeee_000007_000017.mp4",
)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Kinetics of two classes: videos and lists in one folder."""
    dataset = get("kinetics400")
    monkeypatch.setattr(type(dataset), "facts", None)
    monkeypatch.setattr(type(dataset), "number", 2)  # classes
    write(tmp_path / "annotations", **LISTS)
    touch(tmp_path, *FILES)
    monkeypatch.setattr(type(dataset), "locate", lambda self, folder: tmp_path / "annotations")
    return dataset, tmp_path


def ids(table):
    return table.video_id.tolist()


def test_official_splits(small):
    dataset, root = small
    split = dataset.splits(root, "official")
    assert ids(split.train) == [
        "abseiling/-_bbbbbbbbb_000005_000015",
        "abseiling/Aaaaaaaaaaa_000000_000010",
        "air drumming/aaaaaaaaaaa_000001_000011",
    ]
    assert ids(split.test) == [
        "abseiling/ccccccccccc_000003_000013",
        "air drumming/ddddddddddd_000002_000012",
    ]
    assert split.validation is None
    three = dataset.splits(root, "official-test")
    assert ids(three.validation) == ids(split.test)
    assert ids(three.test) == ["air drumming/eeeeeeeeeee_000007_000017"]
    assert dataset.classes(lists=root) == ["abseiling", "air drumming"]


def test_missing_videos_are_a_count_and_a_list(small):
    dataset, root = small
    (root / FILES[1]).unlink()
    (root / FILES[4]).unlink()
    gone = ("abseiling/Aaaaaaaaaaa_000000_000010", "air drumming/ddddddddddd_000002_000012")
    with pytest.raises(FileNotFoundError, match="2 of 5 missing, the first: .'abseiling/Aaaa"):
        dataset.splits(root, "official")
    split = dataset.splits(root, "official", allow_missing=True)
    assert (split.missing, split.missing_names, split.expected) == (2, gone, 5)
    split = dataset.splits(root, "random-1:1", allow_missing=True)  # of what all lists name
    assert (split.found, split.missing, split.missing_names, split.expected) == (4, 2, gone, 6)


def test_the_papers_own_split(small):
    dataset, root = small
    touch(root, *(f"abseiling/zzzzzzzzzz{i}_000000_000010.mp4" for i in range(8)))
    split = dataset.splits(root, "random-8:1:1", seed=2)
    assert [len(side) for side in split.sides.values()] == [10, 2, 2]


def test_unlisted_clips_keep_their_class_folder_or_are_left_out(small, caplog):
    dataset, root = small
    touch(root, "val/AIR_drumming/fffffffffff_000001_000011.mp4", "val/ggggggggggg.mp4")
    table = dataset.videos(root)
    assert "air drumming/fffffffffff_000001_000011" in ids(table)
    assert len(table) == 7
    assert "1 of 8 clips have neither a line in a csv file nor a class folder" in caplog.text
    assert "ggggggggggg.mp4" in caplog.text


def test_a_name_that_could_be_several_clips(small):
    dataset, root = small
    write(root / "annotations", train=LISTS["train"] + "abseiling,Aaaaaaaaaaa,30,40,train,0\n")
    with pytest.raises(
        ValueError, match=r"Aaaaaaaaaaa.mp4 must say by its name which clip .*: 2 cli"
    ):
        dataset.videos(root)


def test_without_lists_class_folders_give_the_labels(tmp_path):
    names = ("a_b/ccccccccccc.mp4", "x y/aaaaaaaaaaa_000001_000011.mp4")
    table = get("kinetics600").videos(touch(tmp_path / "v", *names))
    assert ids(table) == ["a_b/ccccccccccc", "x y/aaaaaaaaaaa_000001_000011"]
    assert table.group.tolist() == ["ccccccccccc", "aaaaaaaaaaa"]
    for name in ("val/ccccccccccc.mp4", "ccccccccccc.mp4", "videos/ccccccccccc.mp4"):
        root = touch(tmp_path / name.replace("/", "") / "x", name)
        with pytest.raises(ValueError, match=r"in class folders, or be listed .*Received: 1 clips"):
            get("kinetics600").videos(root)


def test_lists_of_the_other_kinetics_are_passed_by(shared_data, tmp_path):
    for path in (shared_data / "kinetics").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "clips.csv").write_text("name,group\n")
    assert len(get("kinetics600").listing("official", tmp_path).videos) == 150
    (tmp_path / "kinetics-600_val_sample.csv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"csv files of Kinetics-600 \(from https://github.*no file of them"
    ):
        get("kinetics600").checked("official", tmp_path)


FAULTS = {
    "a label that is missing": (
        {"train": LISTS["train"] + ",hhhhhhhhhhh,1,11,train,0\n"},
        "train.csv line 5 must have a label. Received: ''",
    ),
    "a clip on both sides": (
        {"val": LISTS["val"] + "abseiling,Aaaaaaaaaaa,0,10,val,0\n"},
        "Aaaaaaaaaaa_000000_000010 must stand on one line. Received: ",
    ),
    "no test labels": (  # without which official-test is no split
        {"test": "youtube_id,time_start,time_end,split\neeeeeeeeeee,7,17,test\n"},
        "test.csv line 2 must have a label. Received: ''",
    ),
    "a side that is none": (
        {"val": LISTS["val"].replace(",val,", ",dev,")},
        "val.csv line 2 must be of split train, val, validate, validation, test. Received: 'dev'",
    ),
    "a column that is missing": (
        {"val": LISTS["val"].replace("time_start", "start")},
        "val.csv must have the columns label, youtube_id, time_start, time_end. Received: no ['ti",
    ),
    "a time that is none": (
        {"val": LISTS["val"].replace(",3,13,", ",x,13,")},
        "val.csv line 2 must give start and end in seconds. Received: 'x', '13'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults(small, name):
    dataset, root = small
    texts, message = FAULTS[name]
    write(root / "annotations", **texts)
    with pytest.raises(ValueError) as info:  # noqa: PT011, the text is compared
        dataset.checked("official-test", root)
    assert message in str(info.value)


def test_clips_of_one_video_on_both_sides_are_no_fault(small):
    """Nobody promises otherwise; the experiment counts and prints them."""
    dataset, root = small
    write(root / "annotations", val=LISTS["val"] + "abseiling,Aaaaaaaaaaa,20,30,val,0\n")
    assert len(dataset.checked("official", root).videos) == 7


def test_test_clips_without_labels_do_not_disturb_the_other_split(small):
    dataset, root = small
    texts = {"test": "youtube_id,time_start,time_end,split\neeeeeeeeeee,7,17,test\n"}
    write(root / "annotations", **texts)
    assert dataset.checked("official", root).videos.side.value_counts().to_dict() == {
        "train": 3,
        "test": 2,
    }


def test_no_list_of_test_clips(small):
    dataset, root = small
    write(root / "annotations", test=K600)
    with pytest.raises(FileNotFoundError, match="must hold a csv file of the test clips"):
        dataset.checked("official-test", root)
    assert len(dataset.listed(root).videos) == 5  # those of the other split


def test_lists_with_another_number_of_classes(small):
    dataset, root = small
    write(root / "annotations", val=LISTS["val"] + "archery,hhhhhhhhhhh,1,11,val,0\n")
    with pytest.raises(
        ValueError, match="must name 2 classes.*Received: 3 classes. Are they those"
    ):
        dataset.videos(root)


def test_lists_in_a_folder_of_the_other_kinetics_are_passed_by(tmp_path):
    for kind in ("kinetics400", "kinetics-600"):
        write(tmp_path / kind, **LISTS)
    (tmp_path / "videos").mkdir()
    assert get("kinetics600").locate(tmp_path / "videos") == tmp_path / "kinetics-600"


def test_frames_in_folders_called_by_the_id_alone(small):
    dataset, root = small
    table = dataset.videos(root)
    table.video_id = table.label + "/" + table.group
    split = dataset.split(table, "official", lists=root)
    assert ids(split.test) == ["abseiling/ccccccccccc", "air drumming/ddddddddddd"]
    assert dataset.split(table, "random-1:1", lists=root).missing == 0
    # two clips of one video: the id alone says no more which
    write(root / "annotations", val=LISTS["val"] + "abseiling,ccccccccccc,20,30,val,0\n")
    with pytest.raises(
        FileNotFoundError, match="2 of 6 missing, the first: .'abseiling/ccccccccccc"
    ):
        dataset.split(table, "official", lists=root)


def test_strays_are_counted(small):
    dataset, root = small
    touch(root, "val/aaaaaaaaaaa_000001_000011.mp4.mkv", "notes/intro.mov")
    with pytest.raises(ValueError, match=r"2 of 8 that are not, the first: .*intro.mov.*Move them"):
        dataset.videos(root)


def test_lists_that_are_called_txt(tmp_path, monkeypatch):
    monkeypatch.setattr(type(get("kinetics600")), "number", 2)
    for name, text in LISTS.items():
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "notes.txt").write_text("youtube\n")
    assert len(get("kinetics600").listing("official", tmp_path).videos) == 6
