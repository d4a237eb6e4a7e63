import signal
import stat
import subprocess
import sys

import pytest

from vidrec.files import new_file, new_folder, write_atomic


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
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


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
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    assert left[0].name.startswith(".final.")  # hidden, so that no reader takes it for data

    if writer == "new_file":  # and the next writer is not in its way
        write_atomic(path, b"whole")
        assert path.read_bytes() == b"whole"
    else:
        with new_folder(path) as folder:
            (folder / "1.jpg").write_text("whole")
        assert names(path) == ["1.jpg"]
