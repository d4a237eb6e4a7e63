"""An index file: a CSV of one row a video, added to line by line, rewritten by one rename."""

import csv
import dataclasses
import io
import os

import pandas as pd

from vidrec.files import write_atomic


@dataclasses.dataclass(kw_only=True)
class Row:
    """One video of the index.

    status is "ok", "partial" (fewer frames decoded than the file promises) or "failed"; `message`
    says why. n_flow is 0 until flow is extracted, and then n_frames - 1. frames_sha256 and
    flow_sha256 are over the bytes of all images in order (flow: x1, y1, x2, y2, ...); "" where not
    known, as of sets that another tool extracted.
    """

    video_id: str
    label: str
    group: str = ""
    n_frames: int = 0
    n_flow: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    source: str = ""
    source_bytes: int = 0
    source_sha256: str = ""
    frames_sha256: str = ""
    flow_algorithm: str = ""
    flow_parameters: str = ""
    flow_sha256: str = ""
    cv2_version: str = ""
    status: str = "ok"
    message: str = ""


COLUMNS = [field.name for field in dataclasses.fields(Row)]
_TYPES = {field.name: field.type for field in dataclasses.fields(Row)}
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(Row)
    if field.default is not dataclasses.MISSING
}
_HEADER = ",".join(COLUMNS).encode() + b"\r\n"


def append(path, row):
    """Adds a Row to an index file, at once on the disk.

    A line that a killed process or a full disk left torn is dropped, and a file of an older vidrec
    gets the columns that it lacks.
    """
    _mend(path)
    record = {  # "\\r\\n" ends a line, so that `_mend` sees at once whether the last is whole
        name: value.replace("\r\n", "\n") if isinstance(value, str) else value
        for name, value in dataclasses.asdict(row).items()
    }
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    with open(path, "ab") as file:
        if file.tell() == 0:  # new, or its header was torn
            writer.writeheader()
        writer.writerow(record)
        file.write(text.getvalue().encode(errors="backslashreplace"))  # names may be no UTF-8
        file.flush()
        os.fsync(file.fileno())


def read(path):
    """One index file as a DataFrame with the columns of `Row`; None where no line is whole yet.

    A file of an older vidrec lacks columns; they get their default.

    Raises:
        ValueError: if the file is damaged, has unknown columns, or names a video that would lie
            outside its folder.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    data = data[: _whole_lines(data)]
    if not data:
        return None
    try:
        table = pd.read_csv(
            io.BytesIO(data),
            dtype=_TYPES,
            keep_default_na=False,
            na_values={"fps": ["", "nan"]},  # a damaged container may give none
        )
        if not isinstance(table.index, pd.RangeIndex):  # else pandas takes a field for its own
            raise ValueError("lines of more fields than the header")
    except ValueError as error:
        raise ValueError(
            f"{path} must be a CSV of one line a video. Received: {error}. Mend that line, or "
            "remove it and extract again."
        ) from error
    lacking = [name for name in COLUMNS if name not in table]
    if set(table) - set(COLUMNS) or set(lacking) - set(_DEFAULTS):
        raise ValueError(
            f"{path} must have the columns {COLUMNS}. Received: {list(table)}. Is it of a newer "
            "vidrec? Remove it to make it anew."
        )
    table = table.assign(**{name: _DEFAULTS[name] for name in lacking})[COLUMNS]
    table = table.fillna({"fps": _DEFAULTS["fps"]})
    outside = table.video_id[table.video_id.str.contains(r"^/|(?:^|/)\.\.(?:/|$)")]
    if len(outside):
        raise ValueError(
            f"{path} must name videos below its folder. Received: video_id={outside.iloc[0]!r}. "
            "Remove that line."
        )
    return table


def merge(tables):
    """Tables of `read` as one: the last row of each video, by video_id; None of nothing."""
    tables = [table for table in tables if table is not None]
    if not tables:
        return None
    table = pd.concat(tables).drop_duplicates("video_id", keep="last")
    return table.sort_values("video_id", ignore_index=True)


def write(path, table):
    """Replaces an index file by a table, by one rename."""
    write_atomic(path, to_bytes(table))


def to_bytes(table):
    """A table as the bytes of an index file."""
    return table.to_csv(index=False, lineterminator="\r\n").encode()


def _mend(path):
    """Makes an index ready for one more line: no torn line at its end, and today's header."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        header = file.readline()
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2))
        if file.read() != b"\r\n":
            file.seek(0)
            file.truncate(_whole_lines(file.read()))
    if header.endswith(b"\n") and header != _HEADER:
        write(path, read(path))


def _whole_lines(data):
    """Length of the lines that are whole. A line break inside quotes ends none."""
    end = data.rfind(b"\n") + 1
    while end and data.count(b'"', 0, end) % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    return end
