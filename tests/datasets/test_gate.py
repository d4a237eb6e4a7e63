"""Faults planted in the real lists, each alone: the gate finds it and says where."""

import shutil

import pytest

from vidrec.datasets.gate import SplitError
from vidrec.datasets.registry import get

UCF101 = ("ucf101", "ucfTrainTestlist", "official-1")
HMDB51 = ("hmdb51", "testTrainMulti_7030_splits", "official-2")


def without(number):
    return lambda lines: lines[: number - 1] + lines[number:]


def with_line(number, text):
    return lambda lines: [*lines[: number - 1], text, *lines[number:]]


def and_line(text):
    return lambda lines: [*lines, text]


FAULTS = {  # name: (data set, file, change, what the message says; {path} is the file)
    "a line is lost": (
        UCF101, "trainlist01.txt", without(9537),
        ["train must list 9,537 videos. Received: 9,536, in {path}"],
    ),
    "the last lines are cut off": (
        UCF101, "testlist01.txt", lambda lines: [*lines[:3000], lines[3000][:30]],
        ["test must list 3,783 videos. Received: 3,000, in {path}",
         "{path} line 3001 must be `<class>/<name>.<extension>`, with or without the class's index "
         "behind it. Received: 'SkateBoarding/v_SkateBoarding_'"],
    ),
    "a video twice": (
        UCF101, "trainlist01.txt", with_line(2, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"),
        ["ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01 must stand on one line. Received: {path} line 1 "
         "(train), {path} line 2 (train)"],
    ),
    "twice, in another case": (
        UCF101, "trainlist01.txt", with_line(2, "applyeyemakeup/V_ApplyEyeMakeup_G08_C01.mp4"),
        ["v_ApplyEyeMakeup_g08_c01 must stand on one line. Received: {path} line 1 (train), "],
    ),
    "a video on both sides": (
        UCF101, "testlist01.txt", with_line(1, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"),
        ["v_ApplyEyeMakeup_g08_c01 must stand on one line. Received: {folder}/trainlist01.txt line "
         "1 (train), {path} line 1 (test)"],
    ),
    "a group on both sides": (
        UCF101, "testlist01.txt", with_line(1, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c99.avi"),
        ["group g08 of ApplyEyeMakeup must be on one side. Received: train {folder}/trainlist01.tx"
         "t line 1, test {path} line 1"],
    ),
    "a class that is none": (
        UCF101, "testlist01.txt", with_line(1, "ApplyEyeMakup/v_ApplyEyeMakup_g01_c01.avi"),
        ["{path} line 1 must name a class of classInd.txt. Received: 'ApplyEyeMakup'"],
    ),
    "another class's index": (
        UCF101, "trainlist01.txt", with_line(1, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 2"),
        ["{path} line 1 must give ApplyEyeMakeup its index in classInd.txt, 1. Received: "],
    ),
    "a name without a group": (
        UCF101, "trainlist01.txt", with_line(1, "ApplyEyeMakeup/v_ApplyEyeMakeup_c01.avi 1"),
        ["{path} line 1 must name a group, as v_YoYo_g25_c05 does. Received: ApplyEyeMakeup/v_Ap"],
    ),
    "a name that no file may have": (
        UCF101, "trainlist01.txt", with_line(1, "ApplyEyeMakeup/v_\x1b[2J_g08_c01.avi 1"),
        ["{path} line 1: A name in a list or", "\\x1b[2J_g08_c01': it has a control character",
         "train must list 9,537 videos. Received: 9,536"],
    ),
    "a pattern for a name": (
        UCF101, "trainlist01.txt", with_line(1, "ApplyEyeMakeup/v_g08_%02d.avi 1"),
        ["{path} line 1: A name in a list or an archive must be the path", "a pattern of numbers"],
    ),
    "test and training lists swapped": (
        UCF101, "trainlist01.txt", lambda lines: [line + "\n" for line in lines] and lines[:3783],
        ["train must list 9,537 videos. Received: 3,783", "every class of test must be in train"],
    ),
    "no line at all": (
        UCF101, "testlist01.txt", lambda lines: [],
        ["test must list 3,783 videos. Received: 0", "test must list videos. Received: none"],
    ),
    "the class list lost its last class": (
        UCF101, "classInd.txt", without(101),
        ["UCF101 must have 101 classes. Received: 100",
         "line 9446 must name a class of classInd.txt."
         " Received: 'YoYo'", "and 123 more faulty lines"],
    ),
    "an HMDB51 clip changes sides": (
        HMDB51, "golf_test_split2.txt",
        lambda lines: "\n".join(lines).replace(" 1", " 2", 1).split("\n"),
        ["{path} must list 70 videos of train. Received: 69", "of test. Received: 31",
         "train must list 3,570 videos. Received: 3,569, in 51 files"],
    ),
    "an HMDB51 line without its number": (
        HMDB51, "golf_test_split2.txt", with_line(3, "some_golf_f_cm_np1_fr_med_0.avi"),
        ["{path} line 3 must be `<name>.avi` and 0, 1 or 2. Received: 'some_golf_f"],
    ),
    "an HMDB51 number that is none": (
        HMDB51, "golf_test_split2.txt", with_line(3, "some_golf_f_cm_np1_fr_med_0.avi 3"),
        ["{path} line 3 must be `<name>.avi` and 0, 1 or 2."],
    ),
    "an HMDB51 clip in two classes": (
        HMDB51, "golf_test_split2.txt", with_line(1, "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 0"),
        ["April_09_brush_hair_u_nm_np1_ba_goo_0 must stand on one line. Received: {folder}/brush_ha"
         "ir_test_split2.txt line 1 (train), {path} line 1 (left out)"],
    ),
}  # fmt: skip


def planted(shared_data, tmp_path, lists, file, change):
    folder = tmp_path / lists
    shutil.copytree(shared_data / lists, folder)
    path = folder / file
    lines = path.read_text().split("\n")
    path.chmod(0o644)
    path.write_text("\n".join(change(lines[: -1 if lines[-1] == "" else None])))
    return folder, path


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults(shared_data, tmp_path, name):
    (dataset, lists, split), file, change, messages = FAULTS[name]
    folder, path = planted(shared_data, tmp_path, lists, file, change)
    with pytest.raises(SplitError) as info:
        get(dataset).checked(split, folder)
    text = str(info.value)
    assert text.startswith(f"The lists of {dataset} {split} cannot be used: ")
    for message in messages:
        assert message.format(path=path, folder=folder) in text
    assert len(text.split("\n")) <= 1 + len(info.value.problems) < 20


def test_a_missing_file_of_hmdb51(shared_data, tmp_path):
    folder, path = planted(shared_data, tmp_path, HMDB51[1], "golf_test_split2.txt", list)
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match="must hold golf_test_split2.txt. Received: no file"
    ):
        get("hmdb51").checked("official-2", folder)
    get("hmdb51").checked("official-1", folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "  \t\n"),
        lambda text: "\ufeff" + text + "\n\n  \n",
        lambda text: text.upper().replace(".AVI", ".avi"),
        lambda text: text.replace("HandstandPushups/", "HandStandPushups/"),
        lambda text: text.replace(".avi", ".mp4"),
    ],
    ids=["CRLF", "trailing blanks", "BOM and blank lines", "upper case", "spelling", "extension"],
)
def test_what_is_no_fault(shared_data, tmp_path, change):
    folder = tmp_path / "lists"
    folder.mkdir()
    for path in (shared_data / UCF101[1]).iterdir():
        upper = path.name == "classInd.txt" and "v_X".upper() == change("v_X")
        (folder / path.name).write_text(path.read_text() if upper else change(path.read_text()))
    listing = get("ucf101").checked("official-1", folder)
    assert listing.videos.side.value_counts().to_dict() == {"train": 9537, "test": 3783}
    assert listing.classes[36] in ("HandstandPushups", "HandStandPushups")
    original = get("ucf101").checked("official-1", shared_data / UCF101[1])
    assert listing.videos.key.tolist() == original.videos.key.tolist()


def test_problems_are_counted_not_poured(shared_data, tmp_path):
    double = lambda lines: lines + lines  # noqa: E731
    folder, path = planted(shared_data, tmp_path, UCF101[1], "testlist01.txt", double)
    with pytest.raises(SplitError) as info:
        get("ucf101").checked("official-1", folder)
    assert "  and 3778 more videos on several lines" in str(info.value).split("\n")
    assert len(info.value.problems) == 7
