import contextlib
import errno
import io
import os
import random
import re
import shutil
import stat
import sys
import tarfile
import warnings
import zipfile

import pytest
import rarfile

from tests.archives.rar_writer import COPY, HARD_LINK, SYMLINK, entry, write_rar
from vidrec.archives import unpack as archives
from vidrec.archives.rar import TOOLS, _program
from vidrec.archives.unpack import stem_of, unpack

BYTES = random.Random(7).randbytes
SOUND = {"wave/a b.avi": BYTES(70_001), "wave/é.avi": BYTES(333), "jump/none.txt": b""}
SUFFIXES = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "rar")
LIMIT = 10**6


def write(path, members, *, version=5):
    """Writes (name, content) pairs as the archive that the suffix says; names are not checked."""
    members = list(members.items()) if isinstance(members, dict) else members
    if path.suffix == ".rar":
        return write_rar(path, [entry(name, data) for name, data in members], version=version)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                info = zipfile.ZipInfo("x")
                info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
                with warnings.catch_warnings(action="ignore"):  # twice the same name
                    archive.writestr(info, data)
        return path
    kind = path.suffix.removeprefix(".")
    return write_tar(path, [(tar_info(name, size=len(data)), data) for name, data in members], kind)


def tar_info(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def write_tar(path, pairs, kind="tar"):
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as archive:
        for info, data in pairs:
            archive.addfile(info, io.BytesIO(data))
    return path


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refuse(tmp_path, archive, *texts, error=ValueError, **options):
    """Asserts that an archive is refused with all texts, and that it leaves nothing."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=re.escape(str(archive))) as caught:
        unpack(archive, tmp_path / "in" / "out", **{"max_bytes": LIMIT} | options)
    for text in texts:
        assert text in str(caught.value)
    after = sorted(tmp_path.rglob("*"))
    assert [path for path in after if path != tmp_path / "in"] == before
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "in").rmdir()  # it is empty


def only_tools(tmp_path, monkeypatch, **programs):
    """A PATH on which there are these programs alone, each the text of a script or a path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, program in programs.items():
        if os.path.exists(program):
            (folder / name).symlink_to(program)
        else:
            (folder / name).write_text(f"#!{sys.executable}\n{program}")
            (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_is_unpacked_whole(tmp_path, suffix, monkeypatch):
    only_tools(tmp_path, monkeypatch)  # none: the rar is merely stored
    archive = write(tmp_path / f"set.{suffix}", SOUND)
    for name in ("set", "deep/set"):
        assert unpack(archive, tmp_path / name, max_bytes=70_334) == 3
        assert content(tmp_path / name) == SOUND
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["bin", "deep", "set", archive.name]
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_kind_is_told_by_the_content(tmp_path, suffix):
    archive = write(tmp_path / f"set.{suffix}", SOUND).rename(tmp_path / "download")
    assert unpack(str(archive), str(tmp_path / "out"), max_bytes=LIMIT) == 3
    assert content(tmp_path / "out") == SOUND


def test_modes_and_times_are_not_taken_over(tmp_path):
    pairs = [(tar_info("d", type=tarfile.DIRTYPE, mode=0), b"")]
    pairs += [(tar_info("d/tool", mode=0o6777, size=3, mtime=5, uid=12), b"abc")]
    unpack(write_tar(tmp_path / "a.tar", pairs), tmp_path / "out", max_bytes=3)
    found = (tmp_path / "out/d/tool").stat()
    assert stat.S_IMODE(found.st_mode) & 0o7111 == 0
    assert found.st_mtime > 10**9
    assert found.st_uid == os.getuid()


def test_dots_and_empty_folders(tmp_path):
    pairs = [(tar_info(name, type=tarfile.DIRTYPE), b"") for name in ("./", "./empty", "./empty/")]
    pairs.append((tar_info("././a//b.txt", size=2), b"ok"))
    assert unpack(write_tar(tmp_path / "a.tar", pairs), tmp_path / "out", max_bytes=2) == 1
    assert content(tmp_path / "out") == {"a/b.txt": b"ok"}
    assert (tmp_path / "out/empty").is_dir()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_litter_of_systems_is_skipped(tmp_path, suffix):
    litter = ["__MACOSX/wave/._a.avi", ".DS_Store", "wave/.DS_Store", "wave/Thumbs.db"]
    members = [(litter[0], BYTES(99)), ("wave/a.avi", b"one"), (litter[1], BYTES(70))]
    members += [(litter[2], BYTES(50)), (litter[3], b"x"), ("wave/b.avi", b"two")]
    archive = write(tmp_path / f"set.{suffix}", members)
    assert unpack(archive, tmp_path / "out", max_bytes=6) == 2
    assert content(tmp_path / "out") == {"wave/a.avi": b"one", "wave/b.avi": b"two"}


EVIL = {
    "../x": 'it has a part ".."',
    "wave/../../x": 'it has a part ".."',
    "__MACOSX/../../x": 'it has a part ".."',
    "/tmp/x": "it is absolute",
    "C:/x": "it begins like a URL, a protocol or a drive",
    "C:x": "it begins like a URL, a protocol or a drive",
    "wave/\x1b[2Jx": "it has a control character, or is no UTF-8",
    "wave/x\n": "it has a control character, or is no UTF-8",
    ".": "it is empty",
}


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "rar"])
@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_elsewhere(tmp_path, name, suffix):
    archive = write(tmp_path / f"set.{suffix}", [("wave/a.avi", b"one"), (name, b"evil")])
    refuse(tmp_path, archive, f"Received: a member {name!r} that has a name", EVIL[name])


@pytest.mark.parametrize("suffix", ["zip", "tar", "rar"])
def test_backslashes(tmp_path, suffix):
    archive = write(tmp_path / f"set.{suffix}", [("..\\x", b"evil")])
    refuse(tmp_path, archive, "a member '..\\\\x' that has a name", "it has a backslash")


def test_backslashes_of_the_older_rar_separate_folders(tmp_path):
    archive = write_rar(tmp_path / "a.rar", [entry(b"wave\\a.avi", b"one")], version=3)
    assert unpack(archive, tmp_path / "out", max_bytes=9) == 1
    assert content(tmp_path / "out") == {"wave/a.avi": b"one"}
    archive = write_rar(tmp_path / "a.rar", [entry(b"..\\x", b"one")], version=3)
    refuse(tmp_path, archive, "a member '../x' that has a name", 'it has a part ".."')


def test_a_nul_in_a_zip_does_not_hide_the_rest_of_a_name(tmp_path):
    archive = write(tmp_path / "a.zip", [("a.aviX.exe", b"evil")])
    archive.write_bytes(archive.read_bytes().replace(b"a.aviX.exe", b"a.avi\0.exe"))
    refuse(tmp_path, archive, "'a.avi\\x00.exe'", "it has a control character")


CONFLICTS = [
    (("wave/a.avi", "wave/a.avi"), "a member 'wave/a.avi' that is there twice"),
    (("wave/a.avi", "./wave//a.avi"), "that is there twice"),
    (("wave/a.avi", "wave/A.avi"), "'wave/A.avi' that differs from 'wave/a.avi' in case only"),
    (("wave/a.avi", "Wave/b.avi"), "'Wave/b.avi' that differs from 'wave' in case only"),
    (("é", "e\u0301"), "that differs from 'é' in case only"),
    (("wave", "wave/a.avi"), "a member 'wave/a.avi' that is a file and a folder"),
    (("wave/a.avi", "wave"), "a member 'wave' that is a file and a folder"),
]


@pytest.mark.parametrize("suffix", ["zip", "tar", "rar"])
@pytest.mark.parametrize(("names", "text"), CONFLICTS)
def test_members_in_the_place_of_others(tmp_path, names, text, suffix):
    archive = write(tmp_path / f"set.{suffix}", [(name, name.encode()) for name in names])
    refuse(tmp_path, archive, text, "each once and below its own folder", "Nothing is unpacked.")


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_more_members_than_a_disk_has_files(tmp_path, monkeypatch, suffix):
    archive = write(tmp_path / f"set.{suffix}", [(f"{i}.txt", b"") for i in range(8)])
    monkeypatch.setattr(archives, "MOST_NAMES", 7)
    refuse(tmp_path, archive, "must hold at most 7 files and folders.", "its member '7.txt'")
    monkeypatch.setattr(archives, "MOST_NAMES", 8)
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT) == 8


TAR_KINDS = {
    "is a symbolic link": {"type": tarfile.SYMTYPE, "linkname": "../.."},
    "is a hard link": {"type": tarfile.LNKTYPE, "linkname": "wave/a.avi"},
    "is a device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "is a device, a pipe": {"type": tarfile.FIFOTYPE},
    "is a device, a": {"type": tarfile.BLKTYPE},
    "is neither a plain file nor a folder": {"type": b"Z"},
    "is neither": {"type": tarfile.GNUTYPE_SPARSE},
}


@pytest.mark.parametrize("text", TAR_KINDS)
def test_members_of_a_tar_that_are_no_files(tmp_path, text):
    pairs = [(tar_info("wave/a.avi", size=3), b"one"), (tar_info("up", **TAR_KINDS[text]), b"")]
    pairs.append((tar_info("up/x", size=4), b"evil"))
    archive = write_tar(tmp_path / "set.tar", pairs)
    refuse(tmp_path, archive, f"a member 'up' that {text}")


@pytest.mark.parametrize(
    ("mode", "text"), [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "device, a pipe")]
)
def test_members_of_a_zip_that_are_no_files(tmp_path, mode, text):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        link = zipfile.ZipInfo("up")
        link.external_attr = (mode | 0o777) << 16
        file.writestr(link, "../..")
        file.writestr("up/x", "evil")
    refuse(tmp_path, archive, f"a member 'up' that is a {text}")


RAR_KINDS = [
    (5, {"link": (SYMLINK, "../..")}, "is a symbolic link"),
    (5, {"link": (HARD_LINK, "a.avi")}, "is a link to another member"),
    (5, {"link": (COPY, "a.avi")}, "is a link to another member"),
    (5, {"encrypted": True}, "is encrypted"),
    (5, {"mode": 0o010644}, "is a device, a pipe or a socket"),
    (3, {"mode": 0o120777, "data": b"../.."}, "is a symbolic link"),
    (3, {"mode": 0o020666}, "is a device, a pipe or a socket"),
    (3, {"encrypted": True, "data": b"?"}, "is encrypted"),
]


@pytest.mark.parametrize(("version", "fields", "text"), RAR_KINDS)
def test_members_of_a_rar_that_are_no_files(tmp_path, version, fields, text):
    entries = [entry("a.avi", b"one"), entry("up", **fields), entry("up/x", b"evil")]
    archive = write_rar(tmp_path / "set.rar", entries, version=version)
    refuse(tmp_path, archive, f"a member 'up' that {text}")


def test_an_encrypted_zip(tmp_path):
    archive = write(tmp_path / "set.zip", {"a.avi": b"one"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flags of the member, before it and in the table
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    refuse(tmp_path, archive, "a member 'a.avi' that is encrypted")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_too_much_is_refused(tmp_path, suffix):
    """A hundred times what the archive has, where it is compressed."""
    members = [("a.avi", bytes(50_000)), ("b.avi", bytes(50_001))]
    archive = write(tmp_path / f"set.{suffix}", members)
    text = "at most 100,000 bytes (max_bytes). Received: more than that up to its member 'b.avi'"
    refuse(tmp_path, archive, text, "allow more if you trust the archive", max_bytes=100_000)
    assert unpack(archive, tmp_path / "out", max_bytes=100_001) == 2


def test_bytes_are_counted_and_not_believed(tmp_path, monkeypatch):
    """A zip whose headers claim 10 bytes, of which 100,000 come."""
    archive = write(tmp_path / "set.zip", {"a.avi": bytes(100_000)})
    data = archive.read_bytes().replace((100_000).to_bytes(4, "little"), b"\x0a\0\0\0")
    archive.write_bytes(data)
    refuse(tmp_path, archive, "is damaged", "Bad CRC-32 for file 'a.avi'", "fetch it again")
    # and if the library gave them all
    listed = archives.zip_reading

    def generous(file):
        reading = listed(file)
        for member in reading.listed:
            object.__setattr__(member, "read", lambda: iter([b"x" * 60] * 2000))
        return reading

    monkeypatch.setattr(archives, "zip_reading", generous)
    refuse(tmp_path, archive, "at most 999 bytes (max_bytes)", "'a.avi'", max_bytes=999)
    refuse(tmp_path, archive, "'a.avi' has 120000 bytes instead of 10", max_bytes=120_000)


def test_a_tar_header_that_would_fill_the_memory(tmp_path):
    archive = write_tar(tmp_path / "set.tar", [(tar_info("a" * 2_000_000, size=1), b"x")])
    refuse(tmp_path, archive, "is damaged", "a header claims 2000014 bytes")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("part", [0.3, 0.85, 0.999])
def test_a_truncated_archive(tmp_path, suffix, part):
    if suffix == "tar" and part == 0.999:
        pytest.skip("a tar ends with zeros that may be missing")
    archive = write(tmp_path / f"set.{suffix}", SOUND)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(part * len(data)) - 1])
    refuse(tmp_path, archive, "is damaged", "Remove it and fetch it again")


def test_a_tar_that_ends_between_two_members(tmp_path):
    """tarfile takes that for the end."""
    archive = write(tmp_path / "set.tar", SOUND)
    data = archive.read_bytes()
    archive.write_bytes(data[: 512 + 70_144])
    refuse(tmp_path, archive, "is damaged", "a header is broken: empty header")
    archive.write_bytes(data[: 512 + 70_144] + b"?" + data[512 + 70_145 :])
    refuse(tmp_path, archive, "is damaged", "a header is broken: bad checksum")
    archive.write_bytes(data + data)
    refuse(tmp_path, archive, "is damaged", "more follows after its end")


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("zip", "Bad CRC-32 for file 'a.avi'"),
        ("tar.gz", "CRC check failed"),
        ("rar", "CRC check failed: a.avi"),
    ],
)
def test_a_wrong_checksum(tmp_path, suffix, text):
    archive = tmp_path / f"set.{suffix}"
    if suffix == "rar":
        write_rar(archive, [entry("a.avi", b"one", crc=5)])
    else:
        write(archive, {"a.avi": b"one"})
        data = bytearray(archive.read_bytes())
        place = -8 if suffix == "tar.gz" else data.rindex(b"PK\x01\x02") + 16
        data[place] ^= 1
        archive.write_bytes(data)
    refuse(tmp_path, archive, "is damaged", text)


def test_random_damage_gives_the_content_or_an_error_for_people(tmp_path):
    rng = random.Random(11)
    told = 0
    for suffix in ("zip", "tar", "tar.gz", "tar.xz", "rar"):
        sound = write(tmp_path / f"sound.{suffix}", {"w/a": BYTES(400), "w/b": BYTES(9)})
        for turn in range(40):
            data = bytearray(sound.read_bytes())
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            broken = tmp_path / f"broken.{suffix}"
            broken.write_bytes(data)
            try:
                unpack(broken, tmp_path / f"{suffix}-{turn}", max_bytes=LIMIT)
            except ValueError as error:
                told += str(broken) in str(error)
            broken.unlink()
    assert 100 < told < 200
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_no_archive(tmp_path):
    for data in (b"<!DOCTYPE html><title>moved</title>", b"", b"RIFF", bytes(1024)):
        page = tmp_path / "set.rar"
        page.write_bytes(data)
        text = f"Received: a file that begins with {data[:20]!r}. It may be the web page"
        refuse(tmp_path, page, "must be a zip, tar (also .gz, .bz2, .xz) or rar archive", text)
    for suffix in ("zip", "tar.gz", "rar"):
        archive = write(tmp_path / f"none.{suffix}", {})
        refuse(tmp_path, archive, "must hold a file. Received: none in it")


def test_nothing_is_replaced(tmp_path):
    archive = write(tmp_path / "set.zip", SOUND)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="mine must not be there before .*Remove or rename"):
        unpack(tmp_path / "absent.zip", mine, max_bytes=LIMIT)  # before anything is read
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError, match="link must not be there before"):
        unpack(archive, tmp_path / "link", max_bytes=LIMIT)
    assert content(mine) == {"notes.txt": b"mine"}
    with pytest.raises(FileNotFoundError, match=r"Received: no file .*absent\.zip"):
        unpack(tmp_path / "absent.zip", tmp_path / "out", max_bytes=LIMIT)
    for number in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match=f"`max_bytes` must be .*Received: max_bytes={number}"):
            unpack(archive, tmp_path / "out", max_bytes=number)


def test_a_full_disk_passes_through_and_leaves_nothing(tmp_path, monkeypatch):
    archive = write(tmp_path / "set.tar.gz", SOUND)

    def full(self, member, path, title):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(archives._Unpacking, "_write", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        unpack(archive, tmp_path / "out", max_bytes=LIMIT)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == [archive]


def hmdb(tmp_path, inner_suffix="rar"):
    """An archive of archives, each of which holds a folder of the class's name."""
    members = []
    for name in ("wave", "jump"):
        inner = tmp_path / f"{name}.{inner_suffix}"
        write(inner, {f"{name}/1.avi": name.encode() * 1000, f"{name}/2.avi": b"2"})
        members.append((inner.name, inner.read_bytes()))
        inner.unlink()
    return members


@pytest.mark.parametrize("inner_suffix", ["rar", "zip", "tar.gz"])
@pytest.mark.parametrize("prefix", ["", "hmdb51/videos/"])
def test_archives_in_an_archive(tmp_path, inner_suffix, prefix):
    members = [(prefix + name, data) for name, data in hmdb(tmp_path, inner_suffix)]
    archive = write(tmp_path / "set.rar", [*members, ("notes.txt", b"n")])
    assert unpack(archive, tmp_path / "raw", max_bytes=LIMIT) == 3
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT, nested=True) == 5
    found = content(tmp_path / "out")
    assert set(found) - {"notes.txt"} == {
        f"{prefix}{name}/{number}.avi" for name in ("wave", "jump") for number in (1, 2)
    }
    assert found[f"{prefix}jump/1.avi"] == b"jump" * 1000


def test_archives_in_an_archive_merge_and_never_overwrite(tmp_path):
    first, second = hmdb(tmp_path)
    beside = [("wave/3.avi", b"3"), ("Wave/1.avi", b"1"), ("wave/1.avi", b"mine")]
    archive = write(tmp_path / "set.zip", [first, beside[0]])
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT, nested=True) == 3
    assert sorted(content(tmp_path / "out")) == ["wave/1.avi", "wave/2.avi", "wave/3.avi"]
    shutil.rmtree(tmp_path / "out")
    for other, text in [(beside[1], "differs from 'Wave' in case"), (beside[2], "is there twice")]:
        archive = write(tmp_path / "set.zip", [second, first, other])
        refuse(tmp_path, archive, f"wave.rar in {archive}", "'wave/1.avi'", text, nested=True)


def test_the_limit_and_every_check_hold_for_archives_in_an_archive(tmp_path):
    members = hmdb(tmp_path, "zip")
    archive = write(tmp_path / "set.zip", members)
    packed = sum(len(data) for _, data in members)
    assert packed < 1000  # and 8,002 when all is unpacked
    limit = 4001 + packed  # the second lies there until it is unpacked
    refuse(
        tmp_path, archive, "at most", "up to its member 'wave/1.avi'", max_bytes=limit, nested=True
    )
    unpack(archive, tmp_path / "out", max_bytes=8002 + len(members[1][1]), nested=True)
    shutil.rmtree(tmp_path / "out")
    evil = write(tmp_path / "evil.tar", [("../../x", b"evil")])
    for name, data, text in [
        ("deep/evil.tar", evil.read_bytes(), 'it has a part ".."'),
        ("deep/evil.rar", b"<html>", "Received: a file that begins with b'<html>'"),
        ("deep/evil.zip", members[0][1][:-30], "is damaged"),
    ]:
        archive = write(tmp_path / "set.zip", [members[0], (name, data)])
        refuse(tmp_path, archive, f"{name} in {archive}", text, nested=True)


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("tool", TOOLS)
def test_installed_tools_print_what_the_headers_say(tmp_path, monkeypatch, tool, version):
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"no {tool} on this machine")
    if _program(tool) is None:
        pytest.skip("this unrar is another program, such as unrar-free")
    monkeypatch.setattr(rarfile, "RAR_M0", -1)  # as if it were compressed
    only_tools(tmp_path, monkeypatch, **{tool: program})
    folder = tmp_path / "odd [1]*?"  # no tool is to take this for a pattern
    folder.mkdir()
    entries = [entry("wave", folder=True), *(entry(name, SOUND[name]) for name in SOUND)]
    archive = write_rar(folder / "@-x *.rar", entries, version=version)
    write_rar(folder / "@-x other.rar", [entry("other", b"other")])
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT) == 3
    assert content(tmp_path / "out") == SOUND


def compressed(tmp_path, **fields):
    """A rar that needs a tool, and the file of what the tool is to print."""
    entries = [entry("d", folder=True), entry("d/a.avi", BYTES(100_000), method=3)]
    entries += [entry("Thumbs.db", BYTES(50), method=3), entry("d/b.avi", BYTES(10), **fields)]
    printed = tmp_path / "printed"
    printed.write_bytes(b"".join(fields[1] for fields in entries))
    return write_rar(tmp_path / "set.rar", entries), printed


PRINT = """
import os, sys
if not sys.argv[1:]:
    sys.exit(print("UNRAR 6.21 freeware      Copyright (c) 1993-2023 Alexander Roshal"))
*options, path = sys.argv[1:]
open("litter", "w").write("a tool that writes")
assert options == {options!r} and os.path.samefile(path, {archive!r}), sys.argv
data = open({printed!r}, "rb").read()
sys.stdout.buffer.write({what})
print({words!r}, file=sys.stderr)
sys.exit({status})
"""


def script(archive, printed, *, tool="unrar", what="data", status=0, words=""):
    return PRINT.format(
        options=list(TOOLS[tool]),
        **{"archive": str(archive), "printed": str(printed), "what": what},
        **{"words": words, "status": status},
    )


def test_a_tool_is_called_once_and_its_stream_cut(tmp_path, monkeypatch):
    archive, printed = compressed(tmp_path)
    # the exit status says nothing where every content has a CRC that agrees
    only_tools(tmp_path, monkeypatch, unrar=script(archive, printed, status=2))
    monkeypatch.chdir(tmp_path)
    assert unpack("set.rar", tmp_path / "out", max_bytes=100_010) == 2
    assert not (tmp_path / "litter").exists()  # whatever a tool writes goes where nobody looks
    data = printed.read_bytes()
    assert content(tmp_path / "out") == {"d/a.avi": data[:100_000], "d/b.avi": data[-10:]}


FAILURES = {
    "data[:60_000]": "unrar: it ends in the middle of 'd/a.avi' (no good: [2J Checked)",
    "data[:-1]": "unrar: it ends in the middle of 'd/b.avi' (no good: [2J Checked)",
    "b'usage' + data": "unrar: 'd/a.avi' does not agree with its checksum",
    "data + b'x'": "unrar: there is more in it than its headers say",
    "b''": "unrar: it ends in the middle of 'd/a.avi'",
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_tool_that_fails_is_followed_by_the_next(tmp_path, monkeypatch, what):
    archive, printed = compressed(tmp_path)
    words = "no good:\n\x1b[2J Checked"
    bad = script(archive, printed, what=what, words=words, status=1)
    only_tools(tmp_path, monkeypatch, unrar=bad)
    refuse(tmp_path, archive, "is damaged", FAILURES[what], "fetch it again, or install unrar")
    good = script(archive, printed, tool="7z")
    shutil.rmtree(tmp_path / "bin")
    only_tools(tmp_path, monkeypatch, **{"unrar": bad, "bsdtar": "x = 1 / 0", "7z": good})
    assert unpack(archive, tmp_path / "out", max_bytes=100_010) == 2
    assert len(content(tmp_path / "out")["d/a.avi"]) == 100_000


def test_a_tool_that_does_not_start_or_is_killed(tmp_path, monkeypatch):
    archive, printed = compressed(tmp_path)
    killed = script(archive, printed, what="data[:70_000]")
    killed = killed.replace("print('', ", "sys.stdout.flush(); os.kill(os.getpid(), 9)  # ")
    only_tools(tmp_path, monkeypatch, unrar=killed)
    (tmp_path / "bin/bsdtar").write_bytes(b"\0\0\0")  # no program
    (tmp_path / "bin/bsdtar").chmod(0o755)
    refuse(
        tmp_path, archive, "unrar: it ends in the middle of 'd/a.avi'; bsdtar: it does not start"
    )


def test_the_exit_status_counts_where_there_is_no_checksum(tmp_path, monkeypatch):
    archive, printed = compressed(tmp_path, crc=None)
    only_tools(tmp_path, monkeypatch, unrar=script(archive, printed, status=3, words="bad"))
    refuse(tmp_path, archive, "is damaged", "unrar: it failed (bad)")
    shutil.rmtree(tmp_path / "bin")
    only_tools(tmp_path, monkeypatch, unrar=script(archive, printed))
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT) == 2


def test_a_compressed_rar_without_a_tool(tmp_path, monkeypatch):
    archive, _ = compressed(tmp_path)
    only_tools(tmp_path, monkeypatch)
    text = "Received: no unrar, no bsdtar, no 7z. Install unrar, bsdtar (package libarchive-tools)"
    refuse(tmp_path, archive, text, "or unpack it by hand", error=RuntimeError)


def test_an_unrar_that_is_another_program_is_not_used(tmp_path, monkeypatch):
    archive, printed = compressed(tmp_path)
    free = "import sys\nprint('unrar-free 0.1.3')\nif sys.argv[1:]:\n    open('a.avi', 'w')"
    monkeypatch.chdir(tmp_path)
    only_tools(tmp_path, monkeypatch, unrar=free)
    refuse(tmp_path, archive, "Received: no unrar, no bsdtar, no 7z", error=RuntimeError)
    shutil.rmtree(tmp_path / "bin")
    good = script(archive, printed, tool="bsdtar")
    only_tools(tmp_path, monkeypatch, unrar=free, bsdtar=good)
    assert unpack(archive, tmp_path / "out", max_bytes=LIMIT) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "out", "printed", "set.rar"]


@pytest.mark.parametrize("version", [3, 5])
def test_a_volume_of_several(tmp_path, version):
    archive = write_rar(tmp_path / "a.part1.rar", [entry("a", b"1")], version=version, volume=True)
    refuse(tmp_path, archive, "must be a whole archive. Received: one volume of several. Join")


class Bar:
    """A bar as `progress_bar` makes them, that keeps what it was told."""

    def __init__(self):
        self.calls = []

    @contextlib.contextmanager
    def __call__(self, title, total, *, unit):
        amounts = []
        self.calls.append((title, total, unit, amounts))
        yield amounts.append


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_progress_ends_at_the_total(tmp_path, suffix):
    archive = write(tmp_path / f"set.{suffix}", {"a": BYTES(2_500_000), "b": BYTES(700_000)})
    bar = Bar()
    unpack(archive, tmp_path / "out", max_bytes=10**7, progress=bar)
    ((title, total, unit, amounts),) = bar.calls
    assert (title, total, unit) == (archive.name, 3, "MB")
    assert sum(amounts) == 3
    assert min(amounts) == 0
    assert 1 in amounts


def test_stems():
    for suffix in (*SUFFIXES, "TGZ", "Tar.Gz"):
        assert stem_of(f"part_1.b.{suffix}") == "part_1.b"
    assert [stem_of(name) for name in ("a.csv", "a.csv.gz", ".rar", "rar", "a.avi")] == [None] * 5
