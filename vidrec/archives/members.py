"""The members of a zip or tar archive, one by one, as its headers tell of them.

Nothing is judged or written here: that is `unpack.py`. Bytes that break off, or do not agree with
a header or a checksum, are `Damaged`, which the libraries tell in a dozen different ways.
"""

import bz2
import collections.abc
import contextlib
import dataclasses
import errno
import functools
import gzip
import lzma
import os
import stat
import tarfile
import zipfile

CHUNK = 1 << 20  # bytes
LONGEST_HEADER = 1 << 20  # bytes; a header for long names is read into memory
_DECOMPRESS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


class Damaged(ValueError):
    """An archive is not as it was made, or is made in a way that is not known here."""


@dataclasses.dataclass(frozen=True)
class Member:
    """What an archive says of one of its members.

    Attributes:
        name: str, as written there.
        size: int, bytes of the content as the header has them.
        is_folder: bool.
        problem: str, why it may not be unpacked ("is a symbolic link"), or None.
        read: callable that gives the content as an iterator of bytes, before the next member.
    """

    name: str
    size: int
    is_folder: bool
    problem: str | None
    read: collections.abc.Callable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A way to read an archive from its beginning to its end.

    Attributes:
        listed: list of Member that are known before anything is unpacked; empty for a tar, which
            has no table of them.
        members: callable that gives an iterator of all of them.
        total: int, bytes to read in all, for the bar.
        position: callable that gives how many of them are read, or None: as many as are written.
        tool: str, the program that is needed, or None.
    """

    listed: list
    members: collections.abc.Callable
    total: int
    position: collections.abc.Callable | None = None
    tool: str | None = None


@contextlib.contextmanager
def as_damage():
    """Makes `Damaged` of whatever a library raises in the block at bytes that it cannot read."""
    try:
        yield
    except (Damaged, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's; EINVAL is a seek to where an offset in the archive leads
        raise Damaged(str(error) or type(error).__name__) from error


def kind_problem(mode):
    """What forbids to unpack a member with the mode that Unix gives its files, or None."""
    kind = stat.S_IFMT(mode)
    if kind in (0, stat.S_IFREG, stat.S_IFDIR):
        return None
    return "is a symbolic link" if kind == stat.S_IFLNK else "is a device, a pipe or a socket"


def chunks(opened):
    """What a file object that is yet to be opened holds, as an iterator of bytes."""
    with as_damage(), opened() as file:
        while data := file.read(CHUNK):
            yield data


def zip_reading(file):
    """The reading of an open zip file."""
    with as_damage():
        archive = zipfile.ZipFile(file)
    members = []
    for info in archive.infolist():
        # `filename` ends at a NUL
        name = info.orig_filename if "\0" in info.orig_filename else info.filename
        encrypted = info.flag_bits & 0x41  # plainly, or strongly
        problem = "is encrypted" if encrypted else kind_problem(info.external_attr >> 16)
        read = functools.partial(chunks, functools.partial(archive.open, info))
        members.append(Member(name, info.file_size, name.endswith("/"), problem, read))
    total = sum(member.size for member in members)
    return Reading(listed=members, members=lambda: (member for member in members), total=total)


def is_tar(head):
    """Whether a file that begins with `head`, 512 bytes or more, is a tar or a compressed one."""
    if head.startswith(tuple(_DECOMPRESS)):
        return True
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def tar_reading(file, head):
    """The reading of an open tar file, which may be compressed as a whole."""
    members = functools.partial(_tar_members, file, head)
    total = os.fstat(file.fileno()).st_size
    return Reading(listed=[], members=members, total=total, position=file.tell)


def _tar_members(file, head):
    decompress = [opener for magic, opener in _DECOMPRESS.items() if head.startswith(magic)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(as_damage())
        # not tarfile's own decompression, which checks no CRC and takes a broken end for the end
        stream = stack.enter_context(decompress[0](file)) if decompress else file
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header))
        for info in archive:
            read = functools.partial(chunks, functools.partial(archive.extractfile, info))
            yield Member(info.name, info.size, info.isdir(), _tar_problem(info), read)
        while data := archive.fileobj.read(CHUNK):  # to the CRC at the end
            if any(data):
                raise Damaged("more follows after its end")


def _tar_problem(info):
    if info.issym():
        return "is a symbolic link"
    if info.islnk():
        return "is a hard link"
    if info.isdev():
        return "is a device, a pipe or a socket"
    if info.issparse() or not (info.isreg() or info.isdir()):
        return "is neither a plain file nor a folder"
    return None


class _Header(tarfile.TarInfo):
    """Raises at what tarfile takes for an early end: a broken header, or none at all."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the mark of the end
                raise
            raise Damaged(f"a header is broken: {error}") from error
        if not header.isreg() and header.size > LONGEST_HEADER:
            raise Damaged(f"a header claims {header.size} bytes")
        return header
