"""Brings a published data set to where vidrec reads it: fetches, checks and unpacks its files.

Every part has its place below a root folder and appears there whole, by one rename. A part that is
there is kept, so that a second run goes on where the first one stopped. Whether anything can be
fetched at all is asked before the first byte is.
"""

import collections
import contextlib
import dataclasses
import logging
import os
import re
import shutil
from pathlib import Path

from vidrec.archives.unpack import stem_of, unpack
from vidrec.datasets.facts import Download
from vidrec.files import is_full, new_file, sha256

DOWNLOADS = "downloads"  # below the root: archives until they are unpacked
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Part:
    """A place, what is published for it (or None), and the user's own file for it (or None)."""

    place: Path
    download: Download | None
    given: Path | None


def prepare(facts, root, *, archives=(), max_bytes=None, progress=None, say=print):
    """Unpacks or copies all files of a data set below `root`, and downloads those not given.

    An archive is unpacked as the folder `root`/<into>, archives within it as well; another file is
    copied into that folder. A given file stands for the published one of the same name, or, as
    mirrors pack anew, of the same letters and digits with another archive's suffix, whatever its
    checksum, which is compared and told. An archive that stands for none becomes `root`/<its name
    without suffix>.

    Args:
        facts: `vidrec.datasets.facts.Facts`.
        root: path of a folder, which is made.
        archives: paths of files that the user has. They are read, and left where they are.
        max_bytes: int > 0, how much an archive may hold, or None: as the facts have it.
        progress: as for `vidrec.archives.unpack.unpack`.
        say: callable that is given lines for people.

    Returns:
        List of the Paths that were made: folders and files. What was there already is left out.

    Raises:
        FileNotFoundError: if a given file does not exist, or one is needed that has no address.
        ValueError: if a given file stands for nothing or two for the same, or an archive is
            refused or damaged.
        OSError: if a download fails or the disk is full.
        RuntimeError: if an archive needs a tool that is not installed.
    """
    root = Path(root)
    made = []
    told = False
    limit = facts.max_bytes if max_bytes is None else max_bytes
    for part in _plan(facts, root, [Path(path) for path in archives], say):
        file, ours = part.given, False
        kept = root / DOWNLOADS / part.download.file if part.download else None
        if file is None and kept.exists():
            say(f"{kept} is there and is not fetched again.")
            file = kept
        elif file is None:
            if not told:
                say(f"{facts.title}: {facts.page}\nTerms: {facts.licence}")
                told = True
            say(f"Fetching {part.download.url}")
            _download(part.download, kept)
            file, ours = kept, True
        if not ours:
            _compare(file, part.download)
        try:
            _make(part, file, limit, progress)
        except ValueError:
            if ours:  # the next run is to fetch it again
                _discard(kept)
            raise
        if ours:
            _discard(kept)
        elif file == kept:
            say(f"{kept} is no longer needed; remove it unless you keep it.")
        say(f"{part.place} is ready.")
        made.append(part.place)
    return made


def _plan(facts, root, archives, say):
    """The parts that are to be made, in order; raises if one cannot be."""
    for path in archives:
        if not path.is_file():
            raise FileNotFoundError(
                f"`archives` must be files (--archive PATH). Received: no file {path}"
            )
    parts, left = [], list(archives)
    for download in facts.downloads:
        fits = [path for path in left if _stands_for(path.name, download.file)]
        if len(fits) > 1:
            raise ValueError(
                f"one file must stand for {download.file}. Received: "
                f"{', '.join(map(str, fits))}. Leave out all but one (--archive)."
            )
        left = [path for path in left if path not in fits]
        place = root / download.into
        if stem_of(download.file) is None:
            place = place / download.file
        parts.append(_Part(place, download, fits[0] if fits else None))
    for path in left:
        stem = stem_of(path.name)
        if stem is None:
            raise ValueError(
                f"A given file must be an archive, or one of {facts.title}: "
                f"{', '.join(download.file for download in facts.downloads)}. Received: {path}"
            )
        parts.append(_Part(root / stem, None, path))
    _check_places(parts, root)
    todo = []
    for part in parts:
        if os.path.lexists(part.place):
            say(f"{part.place} is there and is kept as it is.")
        else:
            todo.append(part)
    _check_sources(facts, root, todo)
    return todo


def _stands_for(name, published):
    """Whether a user's file may be the published one, by its name."""
    if name.casefold() == published.casefold():
        return True
    stems = [stem_of(each) for each in (name, published)]
    return None not in stems and len({re.sub("[^a-z0-9]", "", s.casefold()) for s in stems}) == 1


def _check_places(parts, root):
    """Refuses parts that would become the same folder: all but the first would be left out."""
    sources = collections.defaultdict(list)
    sources[str(root / DOWNLOADS).casefold()].append("what is fetched")
    for part in parts:
        sources[str(part.place).casefold()].append(str(part.given or part.download.file))
    for place, names in sources.items():
        if len(names) > 1:
            raise ValueError(
                f"Each file must have its own place below {root}. Received: {' and '.join(names)} "
                f"for the same, {place}. Rename one, or give them to separate roots."
            )


def _check_sources(facts, root, parts):
    """Refuses to begin what cannot be ended: every file is given, there, or has an address."""
    missing = [
        part.download.file
        for part in parts
        if not part.given
        and part.download.url is None
        and not (root / DOWNLOADS / part.download.file).exists()
    ]
    if missing:
        raise FileNotFoundError(
            f"{facts.title} must be given the files {', '.join(missing)}, which cannot be fetched "
            f"by a program. Get them as {facts.page} says, then give the path of each: "
            "--archive PATH."
        )


def _download(download, path):
    """Downloads a file, which appears as `path` when it is whole."""
    import keras  # it takes seconds to load, and most runs fetch nothing

    hashed = {"file_hash": download.sha256, "hash_algorithm": "sha256"} if download.sha256 else {}
    with new_file(path) as file:
        # Not straight to `path`: a killed get_file leaves a part under the name that it is given,
        # and takes that for the whole the next time. It opens our partial file by its name.
        partial = Path(file.name)
        try:
            keras.utils.get_file(
                fname=partial.name,
                origin=download.url,
                cache_dir=str(path.parent.absolute()),
                cache_subdir="",
                force_download=True,
                **hashed,
            )
        except Exception as error:  # get_file raises bare ones
            if is_full(error):
                raise
            raise OSError(
                f"{download.file} must come whole from {download.url}. Received: {error}. The "
                "address may have moved, or the network is down. Try again later, or get the file "
                "by other means and give its path: --archive PATH."
            ) from error


def _compare(file, download):
    """Warns if a file that was not fetched here differs from what is published."""
    if download is None or download.sha256 is None:
        return
    found = sha256(file)
    if found != download.sha256.lower():
        _log.warning(
            "%s is not what is published as %s: its sha256 is %s, not %s. Mirrors pack anew; go on "
            "only if you trust this one.",
            *(file, download.file, found, download.sha256),
        )


def _make(part, file, max_bytes, progress):
    if part.download is not None and stem_of(part.download.file) is None:
        with open(file, "rb") as source, new_file(part.place) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        return
    unpack(file, part.place, max_bytes=max_bytes, nested=True, progress=progress)


def _discard(path):
    """Removes what was downloaded, and the folder of downloads if that was all."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
