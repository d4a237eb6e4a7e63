import dataclasses
import errno
import functools
import gc
import hashlib
import http.server
import logging
import re
import signal
import subprocess
import sys
import threading
import warnings
import zipfile

import pytest

from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.prepare import prepare

VIDEOS = {"wave/1.avi": b"wave one", "wave/2.avi": b"wave two", "jump/1.avi": b"jump"}
LISTS = {"lists/train.txt": b"wave/1 1\n", "lists/test.txt": b"wave/2 1\n"}
TABLE = b"label,youtube_id\nwave,abc\n"


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def facts(*downloads, **fields):
    return Facts(
        **{
            **{"title": "Small Actions", "reference": "Nobody 2024", "page": "https://page.test"},
            **{"licence": "For research only.", "classes": 2, "videos": 3, "max_bytes": 1000},
            **{"downloads": downloads},
            **fields,
        }
    )


def by_hand(file="videos.zip", into="videos", **fields):
    return Download(file=file, url=None, into=into, **fields)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def mine(tmp_path):
    """Files that a user has."""
    folder = tmp_path / "mine"
    write_zip(folder / "videos.zip", VIDEOS)
    write_zip(folder / "lists.zip", LISTS)
    (folder / "train.csv").write_bytes(TABLE)
    (folder / "test.csv").write_bytes(TABLE[:-3])
    return folder


@pytest.fixture
def served(mine):
    """Address of a server of the user's files, and the list of what was asked of it."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/torn.zip":
                self.send_response(200)
                self.send_header("Content-Length", "5000")
                self.end_headers()
                self.wfile.write(b"PK\x03\x04 and no more")
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(mine))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()
    with warnings.catch_warnings():  # urllib leaves the socket of a torn answer to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_given_files_are_unpacked_and_copied(tmp_path, mine):
    plan = facts(
        by_hand(),
        *(by_hand("lists.zip", "annotation/splits"), by_hand("train.csv", "annotation")),
        by_hand("test.csv", "annotation"),
    )
    given, before, said = sorted(mine.iterdir()), content(mine), []
    root = tmp_path / "data"
    made = prepare(plan, root, archives=map(str, given), say=said.append)
    assert [path.relative_to(root).as_posix() for path in made] == [
        *("videos", "annotation/splits", "annotation/train.csv", "annotation/test.csv")
    ]
    expected = {f"videos/{name}": data for name, data in VIDEOS.items()}
    expected |= {f"annotation/splits/{name}": data for name, data in LISTS.items()}
    expected |= {"annotation/train.csv": TABLE, "annotation/test.csv": TABLE[:-3]}
    assert content(root) == expected
    assert content(mine) == before  # a user's own files stay
    assert said == [f"{path} is ready." for path in made]


def test_a_second_run_keeps_what_is_there_and_goes_on(tmp_path, mine):
    plan = facts(by_hand(), by_hand("lists.zip", "splits"), by_hand("train.csv", "tables"))
    root, said = tmp_path / "data", []
    (mine / "lists.zip").write_bytes((mine / "lists.zip").read_bytes()[:-9])
    given = [mine / name for name in ("videos.zip", "lists.zip", "train.csv")]
    with pytest.raises(ValueError, match=r"lists\.zip is damaged, .* fetch it again"):
        prepare(plan, root, archives=given)
    assert [path.name for path in root.iterdir()] == ["videos"]
    (root / "videos/wave/mine.txt").write_text("mine")
    write_zip(mine / "lists.zip", LISTS)
    made = prepare(plan, root, archives=given[1:], say=said.append)
    assert made == [root / "splits", root / "tables/train.csv"]
    assert said[0] == f"{root / 'videos'} is there and is kept as it is."
    assert (root / "videos/wave/mine.txt").exists()
    assert prepare(plan, root, say=said.append) == []
    assert said[-1] == f"{root / 'tables/train.csv'} is there and is kept as it is."


@pytest.mark.parametrize("name", ["VIDEOS.zip", "videos.rar", "Videos.tar.gz", "vi-deos.TAR"])
def test_a_mirror_may_have_packed_anew(tmp_path, mine, name):
    (mine / "videos.zip").rename(mine / name)  # the kind is told by the content
    plan = facts(by_hand("Videos.rar"))
    assert prepare(plan, tmp_path / "data", archives=[mine / name]) == [tmp_path / "data/videos"]
    assert content(tmp_path / "data/videos") == VIDEOS


def test_archives_in_an_archive_are_unpacked(tmp_path, mine):
    inner = (mine / "videos.zip").read_bytes()
    write_zip(mine / "both.zip", {"videos.zip": inner})
    prepare(facts(by_hand("both.zip")), tmp_path / "data", archives=[mine / "both.zip"])
    assert content(tmp_path / "data/videos") == VIDEOS


def test_other_archives_are_unpacked_by_their_names(tmp_path, mine):
    parts = [write_zip(mine / f"part_{i}.zip", {f"{i}.mp4": bytes(i)}) for i in (3, 11)]
    root = tmp_path / "data"
    assert prepare(facts(), root, archives=parts) == [root / "part_3", root / "part_11"]
    assert content(root) == {"part_3/3.mp4": bytes(3), "part_11/11.mp4": bytes(11)}
    third = write_zip(mine / "part_5.tar.gz", {"5.mp4": bytes(5)})
    assert prepare(facts(), root, archives=[*parts, third]) == [root / "part_5"]


def test_two_files_never_become_one_folder(tmp_path, mine):
    train = write_zip(mine / "train/part_1.zip", {"1.mp4": b"1"})
    other = write_zip(mine / "val/Part_1.zip", {"1.mp4": b"2"})
    text = f"Received: {train} and {other} for the same, .*part_1. Rename one, or give them to"
    with pytest.raises(ValueError, match=text):
        prepare(facts(), tmp_path / "data", archives=[train, other])
    videos = write_zip(mine / "clips.zip", VIDEOS)
    text = f"Received: {mine / 'videos.zip'} and {videos} for the same, .*clips. Rename one"
    given = [mine / "videos.zip", videos]
    with pytest.raises(ValueError, match=text):
        prepare(facts(by_hand(into="clips")), tmp_path / "data", archives=given)
    with pytest.raises(ValueError, match="Received: what is fetched and .*downloads.zip for the"):
        prepare(facts(), tmp_path / "data", archives=[write_zip(mine / "downloads.zip", VIDEOS)])
    again = write_zip(mine / "again/videos.rar", VIDEOS)
    text = rf"one file must stand for videos\.zip\. Received: .*videos\.zip, {again}\. Leave out"
    with pytest.raises(ValueError, match=text):
        prepare(facts(by_hand()), tmp_path / "data", archives=[mine / "videos.zip", again])
    assert not (tmp_path / "data").exists()


def test_nothing_is_begun_that_cannot_be_ended(tmp_path, mine):
    plan = facts(by_hand(), by_hand("lists.zip", "splits"), by_hand("train.csv", "tables"))
    root = tmp_path / "data"
    text = (
        "Small Actions must be given the files lists.zip, train.csv, which cannot be fetched by a "
        "program. Get them as https://page.test says, then give the path of each: --archive PATH."
    )
    with pytest.raises(FileNotFoundError, match=re.escape(text)):
        prepare(plan, root, archives=[mine / "videos.zip"])
    with pytest.raises(FileNotFoundError, match=r"\(--archive PATH\)\. Received: no file .*typo"):
        prepare(plan, root, archives=[*mine.iterdir(), mine / "typo.zip"])
    (mine / "notes.txt").write_text("?")
    text = r"must be an archive, or one of Small Actions: videos\.zip, lists\.zip, train\.csv\. Rec"
    with pytest.raises(ValueError, match=rf"{text}eived: .*notes\.txt"):
        prepare(plan, root, archives=[mine / "notes.txt", mine / "videos.zip"])
    assert not root.exists()


def test_another_checksum_of_a_given_file_is_told(tmp_path, mine, caplog):
    published = hashlib.sha256((mine / "videos.zip").read_bytes()).hexdigest()
    table = by_hand("train.csv", "tables", sha256=hashlib.sha256(TABLE).hexdigest().upper())
    (mine / "lists.zip").rename(mine / "videos.tar")
    plan = facts(by_hand(sha256=published), table)
    with caplog.at_level(logging.WARNING):
        prepare(plan, tmp_path / "a", archives=[mine / "videos.zip", mine / "train.csv"])
    assert not caplog.records
    prepare(plan, tmp_path / "b", archives=[mine / "videos.tar", mine / "train.csv"])
    (record,) = caplog.records
    assert f"{mine / 'videos.tar'} is not what is published as videos.zip" in record.getMessage()
    assert f"not {published}. Mirrors pack anew" in record.getMessage()
    assert content(tmp_path / "b/videos") == LISTS


def test_the_limit_is_that_of_the_facts_or_the_option(tmp_path, mine):
    plan = facts(by_hand(), max_bytes=15)
    with pytest.raises(ValueError, match=r"at most 15 bytes \(max_bytes\).*'wave/2\.avi'"):
        prepare(plan, tmp_path / "data", archives=[mine / "videos.zip"])
    prepare(plan, tmp_path / "data", archives=[mine / "videos.zip"], max_bytes=20)
    assert content(tmp_path / "data/videos") == VIDEOS


def test_files_are_fetched_checked_and_removed(tmp_path, mine, served):
    address, asked = served
    digest = hashlib.sha256((mine / "videos.zip").read_bytes()).hexdigest()
    videos = by_hand(sha256=digest)
    plan = facts(
        dataclasses.replace(videos, url=f"{address}/videos.zip"),
        Download(file="train.csv", url=f"{address}/train.csv", into="tables"),
    )
    root, said = tmp_path / "data", []
    made = prepare(plan, root, say=said.append)
    assert made == [root / "videos", root / "tables/train.csv"]
    assert content(root) == {f"videos/{name}": data for name, data in VIDEOS.items()} | {
        "tables/train.csv": TABLE
    }
    assert sorted(path.name for path in root.iterdir()) == ["tables", "videos"]
    assert said == [
        "Small Actions: https://page.test\nTerms: For research only.",
        f"Fetching {address}/videos.zip",
        f"{root / 'videos'} is ready.",
        f"Fetching {address}/train.csv",
        f"{root / 'tables/train.csv'} is ready.",
    ]
    assert asked == ["/videos.zip", "/train.csv"]


# urllib leaves the socket of an answer that breaks off to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    ("path", "digest", "why"),
    [
        ("/absent.zip", None, "404"),
        ("/torn.zip", None, "got only"),
        ("/videos.zip", "0" * 64, "does not match the provided value"),
    ],
)
def test_a_download_that_fails_leaves_nothing(tmp_path, served, path, digest, why):
    address, _ = served
    plan = facts(Download(file="videos.zip", url=address + path, into="videos", sha256=digest))
    with pytest.raises(
        OSError, match=rf"videos\.zip must come whole from {address}{path}"
    ) as caught:
        prepare(plan, tmp_path / "data")
    assert why in str(caught.value)
    assert "The address may have moved" in str(caught.value)
    assert "give its path: --archive PATH." in str(caught.value)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_page_instead_of_an_archive_is_fetched_anew_the_next_time(tmp_path, mine, served):
    address, asked = served
    sound = (mine / "videos.zip").read_bytes()
    (mine / "videos.zip").write_bytes(b"<html>We have moved")
    plan = facts(Download(file="videos.zip", url=f"{address}/videos.zip", into="videos"))
    with pytest.raises(ValueError, match="Received: a file that begins with b'<html>We have"):
        prepare(plan, tmp_path / "data")
    (mine / "videos.zip").write_bytes(sound)
    prepare(plan, tmp_path / "data")
    assert content(tmp_path / "data") == {f"videos/{name}": VIDEOS[name] for name in VIDEOS}
    assert asked == ["/videos.zip"] * 2


def test_a_fetched_file_that_could_not_be_unpacked_is_not_fetched_again(
    tmp_path, served, monkeypatch
):
    address, asked = served
    plan = facts(Download(file="videos.zip", url=f"{address}/videos.zip", into="videos"))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vidrec.datasets.prepare.unpack", full)
        with pytest.raises(OSError, match="No space left on device"):
            prepare(plan, tmp_path / "data")
    kept = tmp_path / "data/downloads/videos.zip"
    assert kept.is_file()
    said = []
    prepare(plan, tmp_path / "data", say=said.append)
    assert asked == ["/videos.zip"]
    assert content(tmp_path / "data/videos") == VIDEOS
    assert said[0] == f"{kept} is there and is not fetched again."
    # it may be the user's: it was there before this run
    assert said[1] == f"{kept} is no longer needed; remove it unless you keep it."
    assert kept.is_file()


KILLED = """
import os, signal, sys
import keras
from tests.datasets.test_prepare import Download, facts, prepare

def get_file(*, fname, cache_dir, **_):
    with open(os.path.join(cache_dir, fname), "wb") as file:
        file.write(b"PK\\x03\\x04 a part")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

keras.utils.get_file = get_file
prepare(facts(Download(file="videos.zip", url="http://127.0.0.1/x", into="videos")), sys.argv[1])
"""


def test_a_killed_download_is_not_taken_for_a_whole_one(tmp_path, served):
    root = tmp_path / "data"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, root], timeout=120, check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = (root / "downloads").iterdir()
    assert re.fullmatch(r"\.videos\.zip\.partial-[0-9a-f]{8}", left.name)
    assert left.read_bytes() == b"PK\x03\x04 a part"
    address, asked = served
    plan = facts(Download(file="videos.zip", url=f"{address}/videos.zip", into="videos"))
    prepare(plan, root)
    assert asked == ["/videos.zip"]
    assert content(root) == {f"videos/{name}": VIDEOS[name] for name in VIDEOS}
    assert [path.name for path in root.iterdir()] == ["videos"]


def test_a_full_disk_while_fetching_passes_through(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")

    def full(**_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(keras.utils, "get_file", full)
    plan = facts(Download(file="a.zip", url="http://127.0.0.1/a.zip", into="a"))
    with pytest.raises(OSError, match="Disk quota exceeded") as caught:
        prepare(plan, tmp_path / "data")
    assert caught.value.errno == errno.EDQUOT
