import logging
from pathlib import Path

import pytest

from vidrec.datasets.folder import Folder
from vidrec.datasets.gate import Split, SplitError
from vidrec.datasets.table import COLUMNS, as_table
from vidrec.datasets.ucf101 import UCF101, read_classes

TRAIN = """HandstandPushups/v_HandStandPushups_g03_c01.avi 2\r
\r
HandstandPushups/v_HandStandPushups_g04_c01.avi 2 \t\r
archery/V_ARCHERY_G02_C01.AVI 1\r
Archery/v_Archery_g02_c02.avi 1\r
  \r
"""
TEST = (
    "\ufeffArchery/v_Archery_g01_c01.avi\r\nHandstandPushups/v_HandStandPushups_g01_c07.avi  \r\n"
)
FILES = (
    "Archery/v_Archery_g01_c01.mp4",
    "Archery/v_Archery_g02_c01.avi",
    "Archery/v_Archery_g02_c02.avi",
    "HandStandPushups/v_HandstandPushups_g01_c07.avi",
    "HandStandPushups/v_HandstandPushups_g03_c01.avi",
    "HandStandPushups/v_HandstandPushups_g04_c01.avi",
)


@pytest.fixture
def lists(tmp_path):
    """A small set of lists, split 2, with every oddity of those in circulation."""
    path = tmp_path / "lists"
    path.mkdir()
    write(path, "classInd.txt", "2 HandstandPushups \r\n\r\n1 Archery\r\n")
    write(path, "trainlist02.txt", TRAIN)
    write(path, "testlist02.txt", TEST)
    return path


@pytest.fixture
def table(tmp_path):
    for name in FILES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Folder().videos(tmp_path / "data")


def write(lists, name, text):
    (lists / name).write_bytes(text.encode())


def raised(kind, function, *args, **options):
    with pytest.raises(kind) as info:
        function(*args, **options)
    return str(info.value)


def listed(table, lists, **options):
    """Split 2 of lists in UCF101's format, of a data set of one's own: no official sizes."""
    return Folder().split(table, "listed-2", lists=lists, **options)


def refused(table, lists, kind=SplitError, **options):
    return raised(kind, listed, table, lists, **options)


def the_problem(table, lists):
    """The only one that the gate finds."""
    first, *problems = refused(table, lists).split("\n")
    assert first == "The lists of folder listed-2 cannot be used: 1 problem"
    return problems[0].removeprefix("  ")


def test_small_split(table, lists, caplog):
    shuffled = table.sample(frac=1, random_state=8)
    train, test, *_ = listed(shuffled, lists)
    assert train[["video_id", "label", "group"]].values.tolist() == [
        ["Archery/v_Archery_g02_c01", "Archery", "g02"],
        ["Archery/v_Archery_g02_c02", "Archery", "g02"],
        ["HandStandPushups/v_HandstandPushups_g03_c01", "HandstandPushups", "g03"],
        ["HandStandPushups/v_HandstandPushups_g04_c01", "HandstandPushups", "g04"],
    ]
    assert test["label"].tolist() == ["Archery", "HandstandPushups"]
    assert test["path"][0].endswith("data/Archery/v_Archery_g01_c01.mp4")
    assert list(test.columns) == list(COLUMNS)
    assert not caplog.records
    assert Folder().classes(lists=lists) == ["Archery", "HandstandPushups"]


def test_videos_finds_the_archives_folder_and_passes_the_lists_by(tmp_path):
    for name in ("UCF-101/YoYo/v_YoYo_g25_c05.avi", "ucfTrainTestlist/classInd.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert list(UCF101().videos(tmp_path)["video_id"]) == ["YoYo/v_YoYo_g25_c05"]
    (tmp_path / "UCF-101").rename(tmp_path / "elsewhere")
    (tmp_path / "ucfTrainTestlist").rename(tmp_path / "elsewhere/ucfTrainTestlist")
    assert list(UCF101().videos(tmp_path / "elsewhere")["group"]) == ["g25"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/UCF-101").symlink_to("../elsewhere")
    assert "must stay inside it" in raised(ValueError, UCF101().videos, tmp_path / "other")


@pytest.mark.parametrize("name", ["trainlist02.txt", "testlist02.txt"])
def test_missing_list_is_named_in_full(table, lists, name):
    (lists / name).unlink()
    assert refused(table, lists, FileNotFoundError) == (
        f"The official lists must hold {name}. Received: no file {lists / name}"
    )
    (lists / "classInd.txt").unlink()
    message = refused(table, lists, FileNotFoundError)
    assert f"trainlist01.txt, testlist01.txt) must lie in {lists}; --lists" in message
    assert message.endswith("Received: no classInd.txt there")


@pytest.mark.parametrize(
    "line",
    [
        "v_Archery_g07_c02.avi 1",
        "Archery/v_Archery_g07_c02",
        "Archery/v_Archery_g07_c02.avi one",
        "Archery\\v_Archery_g07_c02.avi 1",
        "../Archery/v_Archery_g07_c02.avi",
        "/Archery/v_Archery_g07_c02.avi",
    ],
)
def test_malformed_line(table, lists, line):
    write(lists, "trainlist02.txt", TRAIN + line + "\r\n")
    message = the_problem(table, lists)
    # line 7: blank lines count
    assert message.startswith(f"{lists / 'trainlist02.txt'} line 7 must be `<class>/<name>.<ext")
    assert message.endswith(f"Received: {line!r}")


@pytest.mark.parametrize(
    "name",
    [
        "http://host/v_Archery_g07_c02.avi",
        "Archery/../v_Archery_g07_c02.avi",
        "C:\\Archery\\v_Archery_g07_c02.avi",
        "concat:Archery/v_Archery_g07_c02.avi",
        "Archery/v_Archery_g07_%02d.avi",
        "Archery/v_Archery_g07_c\0.avi",
        "Archery/v_Archery_g07_c\x1b[2J.avi",
    ],
)
def test_names_that_lead_elsewhere_are_refused_by_name(table, lists, name):
    write(lists, "trainlist02.txt", TRAIN + f"{name} 1\r\n")
    message = the_problem(table, lists)
    assert message.startswith(f"{lists / 'trainlist02.txt'} line 7")
    shown = repr(name.removesuffix(".avi"))[1:-1]
    assert shown in message or message.endswith("Received: 'concat:Archery'")


def test_class_names_that_lead_elsewhere(lists):
    for name, why in (("../Archery", 'it has a part ".."'), ("a\0", "it has a control character")):
        write(lists, "classInd.txt", f"1 YoYo\n2 {name}\n")
        message = raised(ValueError, read_classes, lists)
        assert message.startswith(f"{lists / 'classInd.txt'} line 2: A name in a list or an")
        assert f"Received: {name!r}: {why}" in message


def test_unknown_class(table, lists):
    write(lists, "testlist02.txt", TEST + "../v_Diving_g01_c01.avi\n")
    assert the_problem(table, lists) == (
        f"{lists / 'testlist02.txt'} line 3 must name a class of classInd.txt. Received: '..'"
    )


def test_index_that_contradicts_the_class_list(table, lists):
    write(lists, "testlist02.txt", TEST + "Archery/v_Archery_g01_c09.avi 2\n")
    assert the_problem(table, lists) == (
        f"{lists / 'testlist02.txt'} line 3 must give Archery its index in classInd.txt, 1. "
        "Received: 'Archery/v_Archery_g01_c09.avi 2'"
    )


def test_repeated_line(table, lists):
    write(lists, "testlist02.txt", TEST + "archery/v_archery_g01_c01.mp4\n")
    assert the_problem(table, lists) == (
        "Archery/v_Archery_g01_c01 must stand on one line. Received: "
        f"{lists / 'testlist02.txt'} line 1 (test), {lists / 'testlist02.txt'} line 3 (test)"
    )


def test_video_in_both_lists(table, lists):
    write(lists, "testlist02.txt", TEST + "Archery/V_Archery_g02_c01.avi\n")
    assert (
        "Archery/V_ARCHERY_G02_C01 must stand on one line. Received: "
        f"{lists / 'trainlist02.txt'} line 4 (train), {lists / 'testlist02.txt'} line 3 (test)"
    ) in refused(table, lists)


def test_group_in_both_lists(table, lists):
    write(lists, "testlist02.txt", TEST + "HandstandPushups/v_HandStandPushups_g04_c06.avi\n")
    assert the_problem(table, lists) == (
        "group g04 of HandstandPushups must be on one side. Received: "
        f"train {lists / 'trainlist02.txt'} line 3, test {lists / 'testlist02.txt'} line 3"
    )


def test_empty_list(table, lists):
    write(lists, "trainlist02.txt", "\r\n \r\n")
    assert the_problem(table, lists) == "train must list videos. Received: none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Archery\nDiving\n", "line 2 must be `<index> <class>`. Received: 'Diving'"),
        ("1 A\n\n1 B\n", "line 3 must not repeat an index or a class. Received: '1 B'"),
        ("1 Ab\n2 aB\n", "line 2 must not repeat an index or a class. Received: '2 aB'"),
        ("3 A\n1 B\n", "must number its classes 1 to N without a gap. Received: [1, 3]"),
        ("0 A\n1 B\n", "must number its classes 1 to N without a gap. Received: [0, 1]"),
        (" \n", "must number its classes 1 to N without a gap. Received: []"),
    ],
)
def test_class_list_messages(lists, text, message):
    write(lists, "classInd.txt", text)
    expected = f"{lists / 'classInd.txt'} {message}"
    assert raised(ValueError, read_classes, lists) == expected


def test_missing_videos(table, lists, caplog):
    part = table[~table["video_id"].str.contains("c07|g04")]
    message = refused(part, lists, FileNotFoundError)
    assert message.startswith("Every video of the split must be there, or the result is not comp")
    assert (
        "Received: 2 of 6 missing, the first: ['HandstandPushups/v_HandStandPushups_g04_c01', "
        "'HandstandPushups/v_HandStandPushups_g01_c07']. `vidrec data check` lists them; --allow-"
    ) in message
    split = listed(part, lists, allow_missing=True)
    assert (len(split.train), len(split.test), split.missing, split.expected) == (3, 1, 2, 6)
    assert split.missing_names[1] == "HandstandPushups/v_HandStandPushups_g01_c07"
    assert split.validation is None
    assert not caplog.records
    # no training video, or none at all: most likely a wrong root
    assert "must hold videos of train. Received: none" in refused(
        table[:1], lists, FileNotFoundError, allow_missing=True
    )
    other = as_table([("Diving/x", "/x", "Diving", "")])
    assert "6 of 6 missing" in refused(other, lists, FileNotFoundError, allow_missing=True)


def test_first_five_of_the_missing(table, lists):
    extra = "".join(f"Archery/v_Archery_g09_c0{i}.avi 1\n" for i in range(1, 8))
    write(lists, "trainlist02.txt", TRAIN + extra)
    expected = [f"Archery/v_Archery_g09_c0{i}" for i in range(1, 6)]
    message = refused(table, lists, FileNotFoundError)
    assert f"Received: 7 of 13 missing, the first: {expected}. " in message


def test_unlisted_videos_are_counted(table, lists, caplog):
    more = as_table([*table.itertuples(index=False), ("Archery/extra", "/e", "Archery", "")])
    assert listed(more, lists).found == 6
    assert caplog.messages == ["1 of 7 videos are not in listed-2 and left out"]
    assert caplog.records[0].levelno == logging.WARNING


def test_ids_that_differ_in_case_only(table, lists):
    twin = ("archery/v_archery_g02_c02", "/t", "archery", "g02")
    more = as_table([*table.itertuples(index=False), twin])
    assert refused(more, lists, ValueError) == (
        "`table` must hold each listed video once. "
        "Received: ['Archery/v_Archery_g02_c02', 'archery/v_archery_g02_c02'] for the same"
    )


def test_lists_that_are_not_of_one_data_set(table, lists):
    """Of the same two classes, but not UCF101's: sizes and classes are the official ones."""
    for number in (1, 3):
        for side in ("train", "test"):
            (lists / f"{side}list{number:02d}.txt").write_bytes(
                (lists / f"{side}list02.txt").read_bytes()
            )
    message = raised(SplitError, UCF101().split, table, "official-2", lists=lists)
    assert message.split("\n") == [
        "The lists of ucf101 official-2 cannot be used: 3 problems",
        "  UCF101 must have 101 classes. Received: 2",
        f"  train must list 9,586 videos. Received: 4, in {lists / 'trainlist02.txt'}",
        f"  test must list 3,734 videos. Received: 2, in {lists / 'testlist02.txt'}",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("YoYo/v_YoYo_g25_c05.avi", ("YoYo", "v_YoYo_g25_c05", "g25")),
        ("flat/v_yoyo_G02_c01.mp4", ("YoYo", "v_yoyo_G02_c01", "g02")),
        ("yoyo/V_YOYO_g02_c01.avi", ("YoYo", "V_YOYO_g02_c01", "g02")),
        ("x/v_HandStandPushups_g1_c02.avi", None),
        (
            "x/v_HandStandPushups_g01_c02.avi",
            ("HandstandPushups", "v_HandStandPushups_g01_c02", "g01"),
        ),
        ("YoYo/YoYo_g25_c05.avi", None),
        ("YoYo/v_YoYoo_g25_c05.avi", None),
        ("YoYo/v_YoYo_g25_c05_copy.avi", None),
    ],
)
def test_files_tell_class_and_group_wherever_they_lie(name, expected):
    assert UCF101().identify(Path(name)) == expected


def test_files_that_are_not_ucf101(tmp_path):
    for name in ("train/v_YoYo_g25_c05.avi", "other/clip 1.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    message = raised(ValueError, UCF101().videos, tmp_path)
    assert message == (
        "Every video of ucf101 must be called v_<Class>_gXX_cYY. Received: 1 of 2 that are not, "
        f"the first: ['{tmp_path.resolve()}/other/clip 1.avi']. Move them out of {tmp_path}."
    )


def whole(shared_data, lists):
    """A table of every video of UCF101, as a complete copy gives it."""
    rows = UCF101().listed(shared_data / lists).videos.itertuples()
    return as_table(
        (row.video_id, f"/ucf/{row.video_id}.avi", row.label, row.group) for row in rows
    )


@pytest.mark.parametrize("number", [1, 2, 3])
def test_official_splits_of_both_line_ends(shared_data, number, caplog):
    table, name = whole(shared_data, "ucfTrainTestlist"), f"official-{number}"
    assert len(table) == 13320
    split = UCF101().split(table, name, lists=shared_data / "ucfTrainTestlist")
    sizes = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}[number]
    assert (len(split.train), len(split.test), split.missing) == (*sizes, 0)
    twin = UCF101().split(table, name, lists=shared_data / "ucfTrainTestlist_crlf")
    assert split.train.equals(twin.train)
    assert split.test.equals(twin.test)
    first = 7 * number - 6  # test groups are g01 to g07, g08 to g14, g15 to g21
    assert set(split.test["group"]) == {f"g{first + i:02d}" for i in range(7)}
    assert not caplog.records


def test_folders_named_like_the_files(shared_data):
    """Some copies spell the folder HandStandPushups; the class list's spelling is reported."""
    table = whole(shared_data, "ucfTrainTestlist")
    for column in ("video_id", "label"):
        table[column] = table[column].str.replace("HandstandPushups", "HandStandPushups")
    split = UCF101().split(table, "official-1", lists=shared_data / "ucfTrainTestlist")
    counts = [int((side["label"] == "HandstandPushups").sum()) for side in split[:2]]
    assert counts == [100, 28]
    assert "HandStandPushups" not in set(split.train["label"])


def test_random_and_grouped_splits_of_the_whole(shared_data):
    table = whole(shared_data, "ucfTrainTestlist")
    lists = shared_data / "ucfTrainTestlist"
    split = UCF101().split(table, "random-8:2", lists=lists, seed=0)
    assert (split.found, split.missing, split.expected) == (13320, 0, 13320)
    assert len(split.test) == pytest.approx(2664, abs=30)
    split = UCF101().split(table, "grouped-8:2", lists=lists, seed=0)
    assert len(set(split.test.group)) == 5
    message = raised(FileNotFoundError, UCF101().split, table[1:], "random-8:2", lists=lists)
    assert (
        "Received: 1 of 13,320 missing, the first: ['ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01']"
        in (message)
    )
    message = raised(FileNotFoundError, UCF101().split, table[1:], "random-8:2")  # no lists
    assert "Received: 1 of 13,320 missing. `vidrec data check`" in message


def test_official_classes(shared_data):
    names = UCF101().classes(lists=shared_data / "ucfTrainTestlist")
    assert names == UCF101().classes(lists=shared_data / "ucfTrainTestlist_crlf")
    assert (len(names), names[0], names[36], names[100]) == (
        101,
        "ApplyEyeMakeup",
        "HandstandPushups",
        "YoYo",
    )
    listing = UCF101().checked("official-1", shared_data / "ucfTrainTestlist")
    assert names == listing.classes == UCF101().classes()  # which needs no lists


def test_real_clips_get_their_official_split_and_class(shared_data):
    dataset, lists = UCF101(), shared_data / "ucfTrainTestlist"
    table = dataset.videos(shared_data / "ucf101_clips")
    assert len(table) == 66
    message = raised(FileNotFoundError, dataset.split, table, "official-1", lists=lists)
    assert "Received: 13,254 of 13,320 missing" in message
    sides = {}
    for name in dataset.official:
        text = {
            side: (lists / f"{side}list0{name[-1]}.txt").read_text() for side in ("train", "test")
        }
        split = dataset.split(table, name, lists=lists, allow_missing=True)
        assert (split.found, split.missing, split.expected) == (66, 13254, 13320)
        sides[name] = (len(split.train), len(split.test))
        for side, rows in split.sides.items():
            for row in rows.itertuples():  # against the text of the lists
                path = Path(row.path)
                assert path.is_file()
                assert f"{row.label}/{path.name}" in text[side]
                assert path.parent.name.casefold() == row.label.casefold()
    assert sides == {"official-1": (46, 20), "official-2": (51, 15), "official-3": (45, 21)}


def test_lists_are_found_beside_the_videos(shared_data):
    message = raised(ValueError, UCF101().splits, shared_data / "ucf101_clips", "official-1")
    assert "There must be one folder of lists in or beside" in message
    assert "ucfTrainTestlist_crlf" in message
    split = UCF101().splits(
        shared_data / "ucf101_clips",
        "official-1",
        lists=shared_data / "ucfTrainTestlist_crlf",
        allow_missing=True,
    )
    assert isinstance(split, Split)
    table = UCF101().videos(shared_data / "ucf101_clips")
    message = raised(NotADirectoryError, UCF101().split, table, "random-8:2", lists="nowhere")
    assert message.startswith("The lists ucfTrainTestlist (from https://www.crcv.ucf.edu")
