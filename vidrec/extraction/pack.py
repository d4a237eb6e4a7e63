"""Packs a store: its images, as they are, into a few large TFRecord files.

UCF101 is 7.5 million small files otherwise. Nothing is decoded or encoded; memory holds a few
hundred images, never a whole video.
"""

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from vidrec import index_file
from vidrec.extraction.progress import progress_bar
from vidrec.files import new_file
from vidrec.layouts import PACKED
from vidrec.packs import (
    FOOTER_BYTES,
    HEADER_BYTES,
    IMAGES,
    Manifest,
    RecordTable,
    check_loose,
    count,
    is_empty,
    records_path,
)
from vidrec.store import Store

FILE_BYTES = 256 << 20
READERS = 8  # threads: a small file is waited for, above all on a network drive
AHEAD = 256  # images that are read before they are written
UNITS = {"frames": "frames", "flow": "pairs"}


def pack(store, out, *, file_bytes=FILE_BYTES):
    """Packs the images of every video of the index that has frames; flow where there is flow.

    Videos that are "failed" go along as rows without images. A pack that is there already is left
    as it is; one that was stopped goes on behind its last whole file and ends with the same bytes.

    Args:
        store: Store with loose files.
        out: path of a folder that is new, empty, or holds this store's pack.
        file_bytes: int >= 1, about how large a TFRecord file is: it is closed behind the video that
            fills it so far.

    Returns:
        packs.Manifest.

    Raises:
        FileNotFoundError: if the store has no index.
        ValueError: if the store is packed, `out` holds anything else, or the images of a video are
            missing or are not those that the index was written for.
        OSError: if the disk is full.
        RuntimeError: if another process is writing there.
    """
    if file_bytes < 1:
        raise ValueError(f"`file_bytes` must be at least 1. Received: file_bytes={file_bytes}")
    store.names  # refuses the layout of packs  # noqa: B018
    check_loose(store.root)
    out, index, rows = Path(out), store.index(), list(store.rows().values())
    manifest = Manifest(layout=store.layout, file_bytes=file_bytes)
    found = _check_is_ours(out, index, manifest)
    if found and found.complete:
        return found
    with Store(out, PACKED).writing():
        manifest.write(out)
        index_file.write(Store(out, PACKED).index_path, index)
        for kind in IMAGES:
            _pack_kind(store, out, kind, [row for row in rows if count(row, kind)], file_bytes)
            tables = list(_tables(out, kind))
            manifest.files[kind] = len(tables)
            manifest.videos[kind] = sum(len(table.video_ids) for table in tables)
            manifest.records[kind] = sum(int(table.counts.sum()) for table in tables)
        manifest.without_images = len(rows) - manifest.videos["frames"]
        manifest.complete = True
        manifest.write(out)
    return manifest


def _check_is_ours(out, index, manifest):
    """The Manifest of a pack of this index in `out`, or None if `out` is empty or not there."""
    if is_empty(out):
        return None
    with contextlib.suppress(FileNotFoundError, ValueError):
        found, packed = Manifest.read(out), Store(out, PACKED)
        same = (found.layout, found.file_bytes) == (manifest.layout, manifest.file_bytes)
        if same and (not packed.index_path.exists() or packed.index().equals(index)):
            return found
    raise ValueError(
        "`out` must be a new or empty folder, or hold the pack of the same index, layout "
        f"({manifest.layout!r}) and file size ({manifest.file_bytes} bytes). Received: "
        f"out={str(out)!r}. Choose another folder, or remove what is in it."
    )


def _tables(out, kind):
    """The tables of the files that are whole, in order."""
    number = 0
    while records_path(out, kind, number).exists():
        yield RecordTable.read(out, kind, number)
        number += 1


def _pack_kind(store, out, kind, rows, file_bytes):
    tables = list(_tables(out, kind))
    rows = rows[sum(len(table.video_ids) for table in tables) :]
    number, todo = len(tables), iter(rows)
    total = sum(count(row, kind) for row in rows)
    with (
        progress_bar(kind, total, unit=UNITS[kind]) as advance,
        ThreadPoolExecutor(READERS) as pool,
    ):
        for row in todo:
            path = records_path(out, kind, number)
            try:
                with new_file(path) as file:
                    # The writer opens the same file by its name; `file` is what is flushed.
                    with tf.io.TFRecordWriter(str(file.name)) as writer:
                        table = _write_records(
                            store, kind, row, todo, writer, pool, file_bytes, advance
                        )
                    table.write(out, kind, number)
            except tf.errors.OpError as error:
                raise OSError(
                    f"{path} cannot be written: {error.message}. Make room, then run the same "
                    f"command again: it goes on with this file, {path.name}."
                ) from error
            number += 1


def _write_records(store, kind, row, more, writer, pool, file_bytes, advance):
    """Writes videos, `row` and then those of the iterator `more`, until the file is full."""
    video_ids, counts, offsets = [], [], [0]
    while row is not None:
        for number, images in enumerate(_read_images(store, kind, row, pool), start=1):
            record = _example(row.video_id, kind, number, images)
            writer.write(record)
            offsets.append(offsets[-1] + HEADER_BYTES + len(record) + FOOTER_BYTES)
        video_ids.append(row.video_id)
        counts.append(number)
        advance(number)
        row = next(more, None) if offsets[-1] < file_bytes else None
    return RecordTable(video_ids, counts, offsets)


def _read_images(store, kind, row, pool):
    """Yields the images of each record of a video, a tuple of bytes; checks them at the end."""
    digest = hashlib.sha256()
    step = AHEAD // len(IMAGES[kind])
    for begin in range(1, count(row, kind) + 1, step):
        numbers = range(begin, min(begin + step, count(row, kind) + 1))
        paths = [store.path(name, row.video_id, i) for i in numbers for name in IMAGES[kind]]
        try:
            images = list(pool.map(Path.read_bytes, paths))
        except FileNotFoundError as error:
            raise _bad_video(row, f"{error.filename} is missing") from error
        for path, data in zip(paths, images, strict=True):
            if not data:
                raise _bad_video(row, f"{path} is empty")
            digest.update(data)
        yield from zip(
            *(images[i :: len(IMAGES[kind])] for i in range(len(IMAGES[kind]))), strict=True
        )
    expected = getattr(row, f"{kind}_sha256")
    if expected not in ("", digest.hexdigest()):
        raise _bad_video(row, f"the SHA-256 of its {kind} is {digest.hexdigest()}, not {expected}")


def _bad_video(row, problem):
    return ValueError(
        f"The images of a video must be those that its row of the index was written for. Received: "
        f"video {row.video_id!r}: {problem}. Run `vidrec audit`, mend what it names, then run the "
        "same command again: it goes on where it stopped."
    )


def _example(video_id, kind, number, images):
    def strings(*values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    feature = {
        "video_id": strings(video_id.encode()),
        "kind": strings(kind.encode()),
        "number": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
        "images": strings(*images),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)  # or the keys come in any order
