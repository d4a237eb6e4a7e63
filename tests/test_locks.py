"""Who may write beside whom, and that a killed writer is in nobody's way."""

import re
import signal
import subprocess
import sys
import time

import pytest

from vidrec import locks
from vidrec.store import Row, Store

HOLD = """
import sys, time
from vidrec.store import Row, Store
store = Store(sys.argv[1], shard=sys.argv[2] if sys.argv[2] != "-" else None)
with store.writing():
    store.append(Row(video_id=sys.argv[2], label="x"))
    print("held", flush=True)
    sys.stdin.readline()
"""


class Other:
    """Another process that holds the right to write until it is told to stop, or killed."""

    def __init__(self, root, shard):
        command = [sys.executable, "-c", HOLD, str(root), shard or "-"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=60)

    def stop(self):
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(60) == -signal.SIGKILL


def refused(store, path):
    text = f"one writer at a time, and another vidrec process is writing {path}. Wait for it or"
    return pytest.raises(RuntimeError, match=re.escape(text))


def enter(store):
    with store.writing():
        pass


@pytest.mark.parametrize(
    ("held", "wanted", "named"),
    [
        (None, None, "index.csv"),
        ("2/4", "2/4", "index.shard-2-of-4.csv"),
        ("2/4", None, "index.shard-2-of-4.csv"),
        (None, "2/4", "index.csv"),
        ("2/4", "2/3", "index.shard-2-of-4.csv"),
    ],
)
def test_a_second_writer_is_refused_at_once(tmp_path, held, wanted, named):
    store = Store(tmp_path, shard=wanted)
    with Other(tmp_path, held) as other:
        began = time.monotonic()
        with refused(store, tmp_path / named):
            enter(store)
        with refused(store, tmp_path / named):
            store.compact()
        assert time.monotonic() - began < 2
        assert list(store.rows()) == [held or "-"]  # reading goes on
        other.stop()
    if wanted != "2/3":  # which has to wait for the merge
        enter(store)


def test_shards_of_one_count_coexist(tmp_path):
    with Other(tmp_path, "1/3"), Other(tmp_path, "3/3"):
        enter(Store(tmp_path, shard="2/3"))
        with refused(None, tmp_path / "index.shard-1-of-3.csv"):
            enter(Store(tmp_path))
    enter(Store(tmp_path))
    assert list(Store(tmp_path).rows()) == ["1/3", "3/3"]


@pytest.mark.parametrize("shard", [None, "1/2"])
def test_a_killed_writer_is_in_nobodys_way(tmp_path, shard):
    with Other(tmp_path, shard) as other:
        other.kill()
        for wanted in (shard, None, "2/2"):
            enter(Store(tmp_path, shard=wanted))


def test_one_process_is_no_exception(tmp_path):
    store = Store(tmp_path / "root")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "root")
    with store.writing():
        assert locks.is_writing(store.index_path)
        for other in (store, Store(link), Store(tmp_path / "root", shard="1/2")):
            with refused(other, other.root / "index.csv"):
                enter(other)
        store.append(Row(video_id="v", label="x"))
        assert len(store.compact()) == 1  # within the right that it has
        assert locks.is_writing(store.index_path)
    assert not locks.is_writing(store.index_path)
    enter(Store(tmp_path / "root", shard="1/2"))


def test_an_error_gives_the_right_back(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyError), store.writing():
        raise KeyError
    assert not locks.is_writing(store.index_path)
    enter(store)


def test_a_refused_writer_gives_back_what_it_had_taken(tmp_path):
    with Other(tmp_path, "2/2"):
        with refused(None, tmp_path / "index.shard-2-of-2.csv"):
            enter(Store(tmp_path))
        with Other(tmp_path, "1/2"):  # neither the gate nor index.csv is held any more
            pass


def test_lock_files_are_hidden(tmp_path):
    enter(Store(tmp_path, shard="1/2"))
    enter(Store(tmp_path))
    assert all(path.name[0] == "." for path in tmp_path.iterdir())
