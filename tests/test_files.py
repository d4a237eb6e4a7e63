import errno
import random
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from vidrec.files import check_name, is_full, new_file, new_folder, write_atomic


class Failure(Exception):
    """What goes wrong in the middle of a block."""


def break_off_a_file(path):
    with new_file(path) as file:
        file.write(b"new")
        raise Failure


def break_off_a_folder(path):
    with new_folder(path) as folder:
        (folder / "1.jpg").write_text("new")
        (folder / "2.jpg").write_text("new")
        raise Failure


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_write_atomic_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a/b/data.bin"
    write_atomic(path, b"first, and longer\x00\xff")
    assert path.read_bytes() == b"first, and longer\x00\xff"
    write_atomic(str(path), b"second")
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["a", "a/b", "a/b/data.bin"]


def test_a_new_file_is_not_there_before_its_block_ends(tmp_path):
    path = tmp_path / "data.bin"
    with new_file(path) as file:
        file.write(b"one ")
        file.flush()
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"one two"
    assert names(tmp_path) == ["data.bin"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "data.bin"
    for old in (None, b"old"):
        if old is not None:
            path.write_bytes(old)
        with pytest.raises(Failure):
            break_off_a_file(path)
        assert names(tmp_path) == ([] if old is None else ["data.bin"])
    assert path.read_bytes() == b"old"


def test_wrong_data_leaves_the_old_file(tmp_path):
    path = tmp_path / "data.bin"
    write_atomic(path, b"old")
    with pytest.raises(TypeError, match="bytes-like"):
        write_atomic(path, "text")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["data.bin"]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "class/video"
    for content in (["1.jpg", "2.jpg", "3.jpg"], ["1.jpg"]):
        with new_folder(path) as folder:
            assert folder.parent == path.parent  # a rename across devices would copy
            for name in content:
                (folder / name).write_text(f"{name} of {len(content)}")
            if len(content) == 1:
                assert names(path) == ["1.jpg", "2.jpg", "3.jpg"]
    assert names(tmp_path) == ["class", "class/video", "class/video/1.jpg"]
    assert (path / "1.jpg").read_text() == "1.jpg of 1"
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode == stat.S_IMODE(path.parent.stat().st_mode)  # as the user's umask has it


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path):
    path = tmp_path / "video"
    with pytest.raises(Failure):
        break_off_a_folder(path)
    assert names(tmp_path) == []
    path.mkdir()
    (path / "1.jpg").write_text("old")
    with pytest.raises(Failure):
        break_off_a_folder(path)
    assert names(tmp_path) == ["video", "video/1.jpg"]
    assert (path / "1.jpg").read_text() == "old"


DEATHS = {"os._exit(3)": 3, "os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL}
WRITERS = {
    "new_file": "block.write(b'new'); block.flush()",
    "new_folder": "(block / '1.jpg').write_text('new')",
}


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path, writer, death):
    code = (
        f"import os, signal, sys\nfrom vidrec.files import {writer}\n"
        f"with {writer}(sys.argv[1]) as block:\n    {WRITERS[writer]}\n    {death}\n"
    )
    path = tmp_path / "final"
    done = subprocess.run([sys.executable, "-c", code, path], timeout=60, check=False)
    assert done.returncode == DEATHS[death]
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.final\.partial-[0-9a-f]{8}", left.name)  # hidden: no reader sees it

    if writer == "new_file":  # and the next writer removes it
        write_atomic(path, b"whole")
        assert path.read_bytes() == b"whole"
        assert names(tmp_path) == ["final"]
    else:
        with new_folder(path) as folder:
            assert names(tmp_path) == [folder.name]
            (folder / "1.jpg").write_text("whole")
        assert names(tmp_path) == ["final", "final/1.jpg"]


ODD = ["v[1]*?", "v_g01_c01", "a b", "été", "x.partial-0123abcd", "v\nw", "$(v)", "%02d"]


@pytest.mark.parametrize("name", ODD)
def test_only_leftovers_of_the_same_name_are_removed(tmp_path, name):
    path = tmp_path / name
    others = {f".{name}", f".{name}.partial", f".{name}.partial-0123abcd.jpg", f".{name}.1234"}
    others |= {f"{name}.partial-0123abcd", f".x{name}.partial-0123abcd", ".v1.partial-0123abcd"}
    others |= {f".{name}.partial-0123ABCD", ".v_g01_c02.partial-0123abcd"}
    for other in others:
        (tmp_path / other).mkdir()
        (tmp_path / other / "kept.jpg").touch()
    for left in (f".{name}.partial-0123abce", f".{name}.replaced-0123abce"):
        (tmp_path / left / "deep").mkdir(parents=True)
        (tmp_path / left / "deep/1.jpg").touch()
    (tmp_path / f".{name}.partial-00000000").touch()  # of a file
    with new_folder(path) as folder:
        (folder / "1.jpg").touch()
    assert {entry.name for entry in tmp_path.iterdir()} == others | {name}
    assert names(path) == ["1.jpg"]
    assert all((tmp_path / other / "kept.jpg").exists() for other in others)


def write_late(path, between):
    """Writes a folder of two files; `between` runs between the two."""
    with new_folder(path) as folder:
        (folder / "1.jpg").write_text("orphan")
        between()
        if folder.exists():
            (folder / "2.jpg").write_text("orphan")


def write_now(path):
    with new_folder(path) as folder:
        (folder / "1.jpg").write_text("new")


def write_file_late(path):
    with new_file(path) as file:
        file.write(b"orphan")
        write_atomic(path, b"new")


def test_a_writer_that_outlives_its_run_fails_and_mixes_nothing_in(tmp_path):
    path = tmp_path / "video"
    for _ in range(2):  # the second time there is something to replace
        with pytest.raises(FileNotFoundError):
            write_late(path, lambda: write_now(path))
        assert names(tmp_path) == ["video", "video/1.jpg"]
        assert (path / "1.jpg").read_text() == "new"
    with pytest.raises(FileNotFoundError):
        write_file_late(tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["data.bin", "video", "video/1.jpg"]


def test_a_swap_that_was_broken_off_is_undone(tmp_path):
    """Killed between the two renames: the old folder is whole, under a hidden name."""
    path, old = tmp_path / "video", tmp_path / ".video.replaced-0123abcd"
    old.mkdir()
    (old / "1.jpg").write_text("old")
    with pytest.raises(Failure):
        break_off_a_folder(path)
    assert names(tmp_path) == ["video", "video/1.jpg"]
    assert (path / "1.jpg").read_text() == "old"


def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "1.jpg").write_text("old")
    (tmp_path / "video").symlink_to(target)
    with new_folder(tmp_path / "video") as folder:
        (folder / "2.jpg").write_text("new")
    assert names(tmp_path) == ["target", "target/1.jpg", "video", "video/2.jpg"]
    assert not (tmp_path / "video").is_symlink()


WRITE = """
import sys
from vidrec.files import new_folder
print("begin", flush=True)
for turn in range(int(sys.argv[2]), 10**6):
    with new_folder(sys.argv[1]) as folder:
        for i in range(8):
            (folder / f"{i}.jpg").write_text(f"{turn:07d}" * 50)
"""


def test_kills_at_random_moments_leave_no_torn_folder_and_no_leftovers(tmp_path):
    """Two hundred writings or so a run, killed somewhere in one of them: twelve runs, and more
    until one has left something, which the next ones remove."""
    path, rng = tmp_path / "class[1]/video*", random.Random(5)
    turn, left = 0, False
    while turn < 12 or (not left and turn < 100):
        command = [sys.executable, "-c", WRITE, path, str(turn * 10**5)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(rng.uniform(0.02, 0.12))
            writer.kill()
        left |= path.parent.exists() and bool(set(path.parent.iterdir()) - {path})
        if path.exists():
            texts = {entry.read_text() for entry in path.iterdir()}
            assert len(texts) == 1
            assert len(texts.pop()) == 350
            assert names(path) == [f"{i}.jpg" for i in range(8)]
        turn += 1
    assert left
    with new_folder(path) as folder:
        (folder / "end.jpg").touch()
    assert names(tmp_path) == ["class[1]", "class[1]/video*", "class[1]/video*/end.jpg"]


def test_a_full_disk_is_told_from_other_errors():
    assert is_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_full(OSError(errno.EDQUOT, "Disk quota exceeded"))
    for error in (OSError(errno.EIO, "x"), OSError("No space left"), ValueError(errno.ENOSPC)):
        assert not is_full(error)


REFUSED = {
    "": "it is empty",
    ".": "it is empty",
    "./": "it is empty",
    "/etc/passwd": "it is absolute",
    "//host/share": "it is absolute",
    "..": 'it has a part ".."',
    "../v.avi": 'it has a part ".."',
    "A/../../v.avi": 'it has a part ".."',
    "A/..": 'it has a part ".."',
    "C:/v.avi": "it begins like a URL, a protocol or a drive",
    "c:v.avi": "it begins like a URL, a protocol or a drive",
    "A\\v.avi": "it has a backslash",
    "..\\v.avi": "it has a backslash",
    "A/v.avi\0": "it has a control character, or is no UTF-8",
    "A/v\n.avi": "it has a control character, or is no UTF-8",
    "A/v\x1b[2J.avi": "it has a control character, or is no UTF-8",
    "A/v\x85.avi": "it has a control character, or is no UTF-8",
    "A/\udce9.avi": "it has a control character, or is no UTF-8",
    "http://host/v.avi": "it begins like a URL, a protocol or a drive",
    "concat:a.avi|b.avi": "it begins like a URL, a protocol or a drive",
    "subfile,,start,0,end,9,,:v.avi": "it begins like a URL, a protocol or a drive",
    "A/img_%02d.jpg": "it has a pattern of numbers: FFmpeg would read a sequence of images",
    "A%d/v.avi": "it has a pattern of numbers: FFmpeg would read a sequence of images",
    "A/img_%*.jpg": "it has a pattern of numbers: FFmpeg would read a sequence of images",
    float("nan"): "it is no text",
    None: "it is no text",
}


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_names_that_would_not_stay_inside(name, why):
    text = f"with forward slashes. Received: {name!r}: {why}. Correct or remove it."
    with pytest.raises(ValueError, match=re.escape(text)):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["A/v.avi", "A/./v..w.avi", "...", "A/time: 10:30.avi", "50% off/é ü.avi", "-v", "~/v"]
)
def test_names_that_stay_inside(name):
    assert check_name(name) is None
