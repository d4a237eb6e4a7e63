"""The members of a rar archive: rarfile reads the headers, an installed tool decompresses.

One process prints the contents of all members in the order of the headers, and the stream is cut by
the sizes in the headers and checked against their CRC. So the tool writes nothing, chooses no name,
and reads a solid archive once. An archive whose members are merely stored needs no tool.

There is no one tool for all: 7z comes without its rar part on some systems, and libarchive (bsdtar)
does not know solid archives of the older format. So each is tried until one gets to the end. What
is called unrar may also be unrar-free, which at the same words writes all files to where it runs:
that is asked first, and each tool runs in a folder that is removed.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import rarfile

from vidrec.archives.members import CHUNK, Damaged, Member, Reading, as_damage, kind_problem

MAGIC = b"Rar!\x1a\x07"
TOOLS = {  # how each prints everything, in order of preference; the path follows
    "unrar": ("p", "-inul", "-p-", "--"),  # RARLAB's
    "bsdtar": ("-xOf",),
    "7z": ("x", "-so", "-bd", "--"),
}
LONGEST_ANSWER = 300  # bytes of what a tool says of its failure
_UNIX = (rarfile.RAR_OS_UNIX, rarfile.RAR_OS_MACOS, rarfile.RAR_OS_BEOS)
_SPLIT = rarfile.RAR_FILE_SPLIT_BEFORE | rarfile.RAR_FILE_SPLIT_AFTER


def rar_readings(file, path):
    """The readings of an open rar file, one for each tool that is installed.

    Raises:
        Damaged: if the headers are.
        ValueError: if it is one volume of several, or its headers are encrypted.
        RuntimeError: if a tool is needed and none is installed.
    """
    blocks = []
    with as_damage():
        # An open file: volumes beside it are not looked for. Strict: a broken header is no end.
        archive = rarfile.RarFile(
            file, errors="strict", part_only=True, info_callback=blocks.append
        )
        ended = any(block.type == rarfile.RAR_BLOCK_ENDARC for block in blocks)
        newer = rarfile.get_rar_version(file) == rarfile.RAR_V5
    if any(_is_volume(block) for block in blocks):
        raise ValueError(
            f"{path} must be a whole archive. Received: one volume of several. Join them first, "
            "such as by unpacking and packing again."
        )
    infos = archive.infolist()
    if not infos and archive.needs_password():
        raise ValueError(f"{path} must not be encrypted. Received: its headers are.")
    if newer and not ended:  # rarfile stops at a block of a kind that it does not know
        raise Damaged("its headers have no end")
    files = [info for info in infos if not info.is_dir()]
    if all(info.compress_type == rarfile.RAR_M0 for info in files):
        sources = {None: functools.partial(_stored, archive, files)}
    else:
        checked = all(info.CRC is not None for info in files)
        found = {tool: _program(tool) for tool in TOOLS}
        sources = {
            tool: functools.partial(_printed, [place, *TOOLS[tool]], path, checked)
            for tool, place in found.items()
            if place
        }
    if not sources:
        raise RuntimeError(
            f"A tool must be there to unpack {path}. Received: no {', no '.join(TOOLS)}. Install "
            "unrar, bsdtar (package libarchive-tools) or 7z (packages p7zip-full and p7zip-rar), "
            "or unpack it by hand."
        )
    total = sum(info.file_size for info in files)
    readings = []
    for tool, source in sources.items():
        listed = [_member(info) for info in infos]
        members = functools.partial(_members, infos, source)
        readings.append(Reading(listed=listed, members=members, total=total, tool=tool))
    return readings


def _program(tool):
    """The path of an installed tool, or None."""
    path = shutil.which(tool)
    if path is None:
        return None
    path = os.path.abspath(path)  # it will run in another folder
    if tool != "unrar":
        return path
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        if b"Alexander Roshal" in asked.stdout:
            return path
    return None


def _is_volume(block):
    if block.type == rarfile.RAR_BLOCK_MAIN:
        return block.flags & rarfile.RAR_MAIN_VOLUME
    return block.type == rarfile.RAR_BLOCK_FILE and block.flags & _SPLIT


def _member(info, read=None):
    problem = kind_problem(info.mode or 0) if info.host_os in _UNIX else None
    if info.needs_password():
        problem = "is encrypted"
    elif info.is_symlink():
        problem = "is a symbolic link"
    elif info.file_redir:
        problem = "is a link to another member"
    size = 0 if info.is_dir() else info.file_size
    return Member(info.filename, size, info.is_dir(), problem, read)


def _members(infos, source):
    """The members, with the contents cut from one stream."""
    with as_damage(), source() as (read, said):
        for info in infos:
            content = iter(()) if info.is_dir() else _content(info, read, said)
            yield _member(info, lambda content=content: content)
            for _ in content:  # of a member that was skipped
                pass
        if read(1):
            raise Damaged(f"there is more in it than its headers say{said()}")


def _content(info, read, said):
    left, crc = info.file_size, 0
    while left:
        with as_damage():
            data = read(min(left, CHUNK))
        if not data:
            raise Damaged(f"it ends in the middle of {info.filename!r}{said()}")
        left, crc = left - len(data), zlib.crc32(data, crc)
        yield data
    if info.CRC is not None and crc != info.CRC:  # there may be a BLAKE2sp instead
        raise Damaged(f"{info.filename!r} does not agree with its checksum{said()}")


@contextlib.contextmanager
def _stored(archive, files):
    """As `_printed`, where no file is compressed. rarfile checks the checksums."""
    todo = iter(files)
    opened = []

    def read(size):
        while True:
            data = opened[-1].read(size) if opened else b""
            info = None if data else next(todo, None)
            if info is None:
                return data
            opened[:] = [archive.open(info)]

    yield read, lambda: ""


@contextlib.contextmanager
def _printed(command, path, checked):
    """Gives `read(size)` on all contents as a tool prints them, and what it says of a failure.

    Args:
        command: list of str, to which the path is added.
        path: path of the archive.
        checked: bool, whether all contents have a CRC. The tool's exit status then says nothing
            that matters: bsdtar fails after a name that it could not have written, for instance.
    """
    with contextlib.ExitStack() as stack:
        words = stack.enter_context(tempfile.TemporaryFile())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # By a name without wildcards, which tools expand, in a folder without further volumes
        link = folder / "archive.rar"
        link.symlink_to(Path(path).absolute())
        try:
            process = subprocess.Popen(
                [*command, link],
                cwd=folder,
                stdin=subprocess.DEVNULL,  # who asks for a password is not heard
                stdout=subprocess.PIPE,
                stderr=words,
                env=os.environ | {"LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            raise Damaged(f"it does not start: {error}") from error
        stack.enter_context(process)
        stack.callback(process.kill)

        def said():
            words.seek(0)
            answer = " ".join(words.read(LONGEST_ANSWER).decode("utf-8", "replace").split())
            return f" ({''.join(filter(str.isprintable, answer))})" if answer else ""

        yield process.stdout.read, said
        if process.wait() and not checked:
            raise Damaged(f"it failed{said()}")
