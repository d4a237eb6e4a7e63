import logging
from pathlib import Path

import pytest

from vidrec.datasets import folder, ucf101

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
    return ucf101.videos(tmp_path / "data")


def write(lists, name, text):
    (lists / name).write_bytes(text.encode())


def raised(kind, function, *args, **options):
    with pytest.raises(kind) as info:
        function(*args, **options)
    return str(info.value)


def refused(table, lists, kind=ValueError, **options):
    return raised(kind, ucf101.split, table, lists, 2, check_sizes=False, **options)


def listed(shared_data, lists_dir):
    """A table of every video that split 1 lists: what a complete copy of UCF101 gives."""
    rows = []
    for name in ("trainlist01.txt", "testlist01.txt"):
        for line in (shared_data / lists_dir / name).read_text().split("\n"):
            if line.strip():
                name = line.split()[0].removesuffix(".avi")
                label, stem = name.split("/")
                rows.append((name, f"/ucf/{name}.avi", label, folder.group_of(stem)))
    return folder.as_table(rows)


def test_small_split(table, lists, caplog):
    shuffled = table.sample(frac=1, random_state=8)
    train, test = ucf101.split(shuffled, lists, 2, check_sizes=False)
    assert train[["video_id", "label", "group"]].values.tolist() == [
        ["Archery/v_Archery_g02_c01", "Archery", "g02"],
        ["Archery/v_Archery_g02_c02", "Archery", "g02"],
        ["HandStandPushups/v_HandstandPushups_g03_c01", "HandstandPushups", "g03"],
        ["HandStandPushups/v_HandstandPushups_g04_c01", "HandstandPushups", "g04"],
    ]
    assert test["label"].tolist() == ["Archery", "HandstandPushups"]
    assert test["path"][0].endswith("data/Archery/v_Archery_g01_c01.mp4")
    assert list(test.columns) == list(folder.COLUMNS)
    assert not caplog.records
    assert ucf101.classes(lists) == ["Archery", "HandstandPushups"]


def test_videos_finds_the_archives_folder_and_passes_the_lists_by(tmp_path):
    for name in ("UCF-101/YoYo/v_YoYo_g25_c05.avi", "ucfTrainTestlist/classInd.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert list(ucf101.videos(tmp_path)["video_id"]) == ["YoYo/v_YoYo_g25_c05"]
    (tmp_path / "UCF-101").rename(tmp_path / "elsewhere")
    (tmp_path / "ucfTrainTestlist").rename(tmp_path / "elsewhere/ucfTrainTestlist")
    assert list(ucf101.videos(tmp_path / "elsewhere")["group"]) == ["g25"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/UCF-101").symlink_to("../elsewhere")
    assert "must stay inside it" in raised(ValueError, ucf101.videos, tmp_path / "other")


@pytest.mark.parametrize("number", [0, 4, "1", 1.0, None])
def test_number(table, lists, number):
    message = raised(ValueError, ucf101.split, table, lists, number)
    assert message == f"`number` must be 1, 2 or 3. Received: number={number!r}"


@pytest.mark.parametrize("name", ["classInd.txt", "trainlist02.txt", "testlist02.txt"])
def test_missing_list_is_named_in_full(table, lists, name):
    (lists / name).unlink()
    assert refused(table, lists, FileNotFoundError) == (
        f"`lists_dir` must hold {name}. Received: no file {lists / name}"
    )


@pytest.mark.parametrize(
    "line",
    [
        "v_Archery_g07_c02.avi 1",
        "Archery/v_Archery_g07_c02",
        "Archery/v_Archery_c02.avi 1",
        "Archery/v_Archery_g07_c02.avi one",
        "Archery\\v_Archery_g07_c02.avi 1",
        "../Archery/v_Archery_g07_c02.avi",
        "/Archery/v_Archery_g07_c02.avi",
    ],
)
def test_malformed_line(table, lists, line):
    write(lists, "trainlist02.txt", TRAIN + line + "\r\n")
    message = refused(table, lists)
    # line 7: blank lines count
    assert message.startswith(f"{lists / 'trainlist02.txt'} line 7 must be `<class>/<name>_gXX_")
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
    message = refused(table, lists)
    assert message.startswith(f"{lists / 'trainlist02.txt'} line 7")
    shown = repr(name.removesuffix(".avi"))[1:-1]
    assert shown in message or message.endswith("Received: 'concat:Archery'")


def test_class_names_that_lead_elsewhere(lists):
    for name, why in (("../Archery", 'it has a part ".."'), ("a\0", "it has a control character")):
        write(lists, "classInd.txt", f"1 YoYo\n2 {name}\n")
        message = raised(ValueError, ucf101.classes, lists)
        assert message.startswith(f"{lists / 'classInd.txt'} line 2: A name in a list must be the")
        assert f"Received: {name!r}: {why}" in message


def test_unknown_class(table, lists):
    write(lists, "testlist02.txt", TEST + "../v_Diving_g01_c01.avi\n")
    assert refused(table, lists) == (
        f"{lists / 'testlist02.txt'} line 3 must name a class of classInd.txt. Received: '..'"
    )


def test_index_that_contradicts_the_class_list(table, lists):
    write(lists, "testlist02.txt", TEST + "Archery/v_Archery_g01_c09.avi 2\n")
    assert refused(table, lists) == (
        f"{lists / 'testlist02.txt'} line 3 must give Archery the index 1 of classInd.txt. "
        "Received: 'Archery/v_Archery_g01_c09.avi 2'"
    )


def test_repeated_line(table, lists):
    write(lists, "testlist02.txt", TEST + "archery/v_archery_g01_c01.mp4\n")
    assert refused(table, lists) == (
        f"{lists / 'testlist02.txt'} line 3 must not repeat a video. "
        "Received: 'archery/v_archery_g01_c01.mp4'"
    )


def test_video_in_both_lists(table, lists):
    write(lists, "testlist02.txt", TEST + "Archery/V_Archery_g02_c01.avi\n")
    assert refused(table, lists) == (
        f"{lists / 'trainlist02.txt'} and {lists / 'testlist02.txt'}: "
        "`train` and `test` must not share videos. "
        "Received: 1 offending, the first: ['archery/v_archery_g02_c01']"
    )


def test_group_in_both_lists(table, lists):
    write(lists, "testlist02.txt", TEST + "HandstandPushups/v_HandStandPushups_g04_c06.avi\n")
    message = refused(table, lists)
    assert message.startswith(f"{lists / 'trainlist02.txt'} and {lists / 'testlist02.txt'}: ")
    assert "share a group of a class. Received: 1 offending" in message
    assert message.endswith("the first: [('HandstandPushups', 'g04')]")


def test_empty_list(table, lists):
    write(lists, "trainlist02.txt", "\r\n \r\n")
    assert "`train` must hold at least one video. Received: 0 rows" in refused(table, lists)


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
    assert raised(ValueError, ucf101.classes, lists) == expected


def test_sizes_of_official_lists(table, lists):
    assert raised(ValueError, ucf101.split, table, lists, 2) == (
        f"{lists / 'trainlist02.txt'} must list 9586 videos; check_sizes=False accepts lists that "
        "are not UCF101's own. Received: 4 videos"
    )


def test_missing_videos(table, lists, caplog):
    part = table[~table["video_id"].str.contains("c07|g04")]
    message = refused(part, lists, FileNotFoundError)
    assert "`table` must hold every listed video; allow_missing=True" in message
    assert message.endswith(
        "Received: 2 of 6 missing, the first: ['HandstandPushups/v_HandStandPushups_g04_c01', "
        "'HandstandPushups/v_HandStandPushups_g01_c07']"
    )
    assert not caplog.records
    train, test = ucf101.split(part, lists, 2, allow_missing=True, check_sizes=False)
    assert (len(train), len(test)) == (3, 1)
    assert caplog.messages == ["2 of 6 listed videos are missing"]
    assert caplog.records[0].levelno == logging.WARNING
    # train is empty, but not test: returned; nothing at all: most likely a wrong root
    train, test = ucf101.split(table[:1], lists, 2, allow_missing=True, check_sizes=False)
    assert (len(train), len(test)) == (0, 1)
    assert list(train.columns) == list(folder.COLUMNS)
    other = folder.as_table([("Diving/x", "/x", "Diving", "")])
    assert "6 of 6 missing" in refused(other, lists, FileNotFoundError, allow_missing=True)


def test_first_five_of_the_missing(table, lists):
    extra = "".join(f"Archery/v_Archery_g09_c0{i}.avi 1\n" for i in range(1, 8))
    write(lists, "trainlist02.txt", TRAIN + extra)
    expected = [f"Archery/v_Archery_g09_c0{i}" for i in range(1, 6)]
    message = refused(table, lists, FileNotFoundError)
    assert message.endswith(f"Received: 7 of 13 missing, the first: {expected}")


def test_unlisted_videos_are_counted(table, lists, caplog):
    more = folder.as_table([*table.itertuples(index=False), ("Archery/extra", "/e", "Archery", "")])
    train, test = ucf101.split(more, lists, 2, check_sizes=False)
    assert len(train) + len(test) == 6
    assert caplog.messages == ["1 of 7 videos are in neither list and left out"]


def test_ids_that_differ_in_case_only(table, lists):
    twin = ("archery/v_archery_g02_c02", "/t", "archery", "g02")
    more = folder.as_table([*table.itertuples(index=False), twin])
    assert refused(more, lists) == (
        "`table` must not hold ids that differ in case only. "
        "Received: ['Archery/v_Archery_g02_c02', 'archery/v_archery_g02_c02']"
    )


@pytest.mark.parametrize("number", [1, 2, 3])
def test_official_lists_of_both_line_ends(shared_data, number, caplog):
    table = listed(shared_data, "ucfTrainTestlist")
    assert len(table) == 13320
    sides = ucf101.split(table, shared_data / "ucfTrainTestlist", number)
    assert tuple(map(len, sides)) == ucf101.SPLIT_SIZES[number]
    twins = ucf101.split(table, shared_data / "ucfTrainTestlist_crlf", number)
    assert sides[0].equals(twins[0])
    assert sides[1].equals(twins[1])
    first = 7 * number - 6  # test groups are g01 to g07, g08 to g14, g15 to g21
    assert set(sides[1]["group"]) == {f"g{first + i:02d}" for i in range(7)}
    assert not caplog.records


def test_official_classes(shared_data):
    names = ucf101.classes(shared_data / "ucfTrainTestlist")
    assert names == ucf101.classes(shared_data / "ucfTrainTestlist_crlf")
    assert (len(names), names[0], names[36], names[100]) == (
        101,
        "ApplyEyeMakeup",
        "HandstandPushups",
        "YoYo",
    )


def test_folders_named_like_the_files(shared_data):
    """Some copies spell the folder HandStandPushups; the class list's spelling is reported."""
    table = listed(shared_data, "ucfTrainTestlist")
    for column in ("video_id", "label"):
        renamed = table[column].str.replace("HandstandPushups", "HandStandPushups")
        table[column] = renamed
    train, test = ucf101.split(table, shared_data / "ucfTrainTestlist", 1)
    count = [int((side["label"] == "HandstandPushups").sum()) for side in (train, test)]
    assert count == [100, 28]
    assert "HandStandPushups" not in set(train["label"])


def test_real_clips(shared_data, caplog):
    table = ucf101.videos(shared_data / "ucf101_clips")
    assert len(table) == 66
    lists = shared_data / "ucfTrainTestlist"
    message = raised(FileNotFoundError, ucf101.split, table, lists, 1)
    assert "Received: 13254 of 13320 missing" in message
    train, test = ucf101.split(table, lists, 1, allow_missing=True)
    assert (len(train), len(test)) == (46, 20)  # 20 clips of groups g01 to g07
    assert all(Path(path).is_file() for path in test["path"])
    assert caplog.messages == ["13254 of 13320 listed videos are missing"]
