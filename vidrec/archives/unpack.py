"""Unpacks archives from the internet, which may be damaged, or made to do harm.

Our own code copies the members one by one; no library and no tool chooses where it writes. What is
not plainly a file or a folder below the new folder refuses the whole archive, and the new folder
appears by one rename when everything is in it.
"""

import collections.abc
import contextlib
import dataclasses
import os
import secrets
import shutil
from pathlib import Path

from vidrec.archives.admission import place_of
from vidrec.archives.members import Damaged, is_tar, tar_reading, zip_reading
from vidrec.archives.rar import MAGIC as RAR
from vidrec.archives.rar import rar_readings
from vidrec.files import new_folder

SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip", ".rar")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
MOST_NAMES = 2_000_000  # an empty file weighs nothing, and a disk holds only so many
_MEGABYTE = 10**6


def unpack(archive, folder, *, max_bytes, nested=False, progress=None):
    """Unpacks a zip, tar, tar.gz, tar.bz2, tar.xz or rar archive as a new folder.

    The kind is told by the content. Names are kept; owners, permissions and times are not, and
    litter of macOS and Windows is skipped. An archive is refused as a whole if a member is a link,
    a device or encrypted, leaves the folder, appears twice, or differs from another in case only.

    Args:
        archive: path of the archive.
        folder: path of the folder, which must not exist yet.
        max_bytes: int > 0, how much may lie in the folder at any time.
        nested: bool, whether archives in the archive, known by suffix, are unpacked where they lie
            and removed, as HMDB51 has them. Those within them are not.
        progress: callable that makes a bar, as `vidrec.extraction.progress.progress_bar`, or None.

    Returns:
        Number (int) of files in the folder.

    Raises:
        FileExistsError: if there is something called `folder`.
        FileNotFoundError: if there is no file `archive`.
        ValueError: if it is no archive, is damaged, holds no file or is refused.
        RuntimeError: if it needs a tool that is not installed.
        OSError: if it cannot be read or the folder cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if not isinstance(max_bytes, int) or max_bytes <= 0:
        raise ValueError(f"`max_bytes` must be an integer > 0. Received: max_bytes={max_bytes!r}")
    if os.path.lexists(folder):
        raise FileExistsError(
            f"{folder} must not be there before {archive} is unpacked as it. Remove or rename it."
        )
    if not archive.is_file():
        raise FileNotFoundError(f"`archive` must be a file. Received: no file {archive}")
    with new_folder(folder) as partial:
        work = _Unpacking(max_bytes, progress)
        work.fill(partial, archive, str(archive))
        if nested:
            work.unpack_inner(partial, archive)
    return work.files


def stem_of(name):
    """The name of an archive without its suffix, or None if it has no archive's suffix."""
    for suffix in SUFFIXES:
        if name.casefold().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


def _readings(file, archive, title):
    """The ways to read an archive; the next is tried if one does not get to its end."""
    head = file.read(1024)
    file.seek(0)
    if head.startswith(RAR):
        return rar_readings(file, archive)
    if head.startswith(_ZIP):
        return [zip_reading(file)]
    if is_tar(head):
        return [tar_reading(file, head)]
    raise ValueError(
        f"{title} must be a zip, tar (also .gz, .bz2, .xz) or rar archive. Received: a file that "
        f"begins with {head[:20]!r}. It may be the web page of a mirror: fetch it again."
    )


@dataclasses.dataclass
class _Unpacking:
    """One call of `unpack`: what lies in the new folder so far."""

    max_bytes: int
    progress: collections.abc.Callable | None
    size: int = 0  # bytes
    files: int = 0
    names: dict = dataclasses.field(default_factory=dict)  # see `place_of`

    def fill(self, folder, archive, title, prefix=""):
        """Copies an archive's members into an empty folder, whose content will lie at `prefix`."""
        size, files, names = self.size, self.files, self.names
        failures, hint = [], ""
        with open(archive, "rb") as file, _noting(failures):
            for reading in _readings(file, archive, title):
                if reading.tool:
                    hint = ", or install unrar, which reads every kind of rar"
                _empty(folder)
                self.size, self.files, self.names = size, files, dict(names)
                with _noting(failures, reading.tool):
                    self._copy(reading, folder, archive, title, prefix)
                    if self.files == files:
                        raise ValueError(f"{title} must hold a file. Received: none in it.")
                    return
        raise ValueError(
            f"{title} is damaged, or packed in a way that cannot be read here: "
            f"{'; '.join(failures)}. Remove it and fetch it again{hint}."
        )

    def unpack_inner(self, folder, archive):
        """Unpacks the archives in a folder, beside themselves, and removes them."""
        for path in sorted(folder.rglob("*")):
            if stem_of(path.name) is None or not path.is_file():
                continue
            place = path.relative_to(folder)
            inside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            inside.mkdir()
            self.fill(inside, path, f"{place} in {archive}", place.parent.as_posix())
            self.size, self.files = self.size - path.stat().st_size, self.files - 1
            path.unlink()
            _merge(inside, path.parent)

    def _copy(self, reading, folder, archive, title, prefix):
        promised, names = self.size, dict(self.names)
        for member in reading.listed:  # so that most is refused before anything is written
            promised += member.size if place_of(member, names, title, prefix) else 0
            self._check_size(promised, member, title)
        start, shown, total = self.size, 0, reading.total // _MEGABYTE
        with contextlib.ExitStack() as stack:
            advance = stack.enter_context(
                (self.progress or _no_bar)(archive.name, total, unit="MB")
            )
            for member in stack.enter_context(contextlib.closing(reading.members())):
                if len(self.names) >= MOST_NAMES:
                    raise ValueError(
                        f"{title} must hold at most {MOST_NAMES:,} files and folders. Received: "
                        f"more, up to its member {member.name!r}. Nothing is unpacked."
                    )
                place = place_of(member, self.names, title, prefix)
                if not place:
                    continue
                if member.is_folder:
                    (folder / place).mkdir(parents=True, exist_ok=True)
                    continue
                for _ in self._write(member, folder / place, title):
                    done = reading.position() if reading.position else self.size - start
                    advance(done // _MEGABYTE - shown)
                    shown = done // _MEGABYTE
            advance(total - shown)

    def _write(self, member, path, title):
        """Writes a file; yields after each part of it."""
        self._check_size(self.size + member.size, member, title)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with open(path, "xb") as file:
            for data in member.read():
                written += len(data)
                self.size += len(data)
                self._check_size(self.size, member, title)
                file.write(data)
                yield
        if written != member.size:
            raise Damaged(f"{member.name!r} has {written} bytes instead of {member.size}")
        self.files += 1

    def _check_size(self, size, member, title):
        if size > self.max_bytes:
            raise ValueError(
                f"{title} must hold at most {self.max_bytes:,} bytes (max_bytes). Received: more "
                f"than that up to its member {member.name!r}. Nothing is unpacked: allow more if "
                "you trust the archive."
            )


@contextlib.contextmanager
def _noting(failures, tool=None):
    """Adds a `Damaged` of the block to a list of str."""
    try:
        yield
    except Damaged as error:
        failures.append(f"{tool}: {error}" if tool else str(error))


@contextlib.contextmanager
def _no_bar(title, total, *, unit):
    yield lambda amount: None


def _empty(folder):
    """Removes what a reading left that did not get to its end."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _merge(source, target):
    """Moves what is in a folder into another; `place_of` saw to it that files do not meet."""
    for entry in source.iterdir():
        if (target / entry.name).is_dir():
            _merge(entry, target / entry.name)
        else:
            entry.rename(target / entry.name)
    source.rmdir()
