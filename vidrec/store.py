"""Where a video's frames and flow lie, and the index of what is done.

The contract of those who write a store and those who read it. A store is a folder; in vidrec's own
layout it holds

    frames/<class>/<video>/img_00001.jpg                       N frames
    flow/<class>/<video>/flow_x_00001.jpg, flow_y_00001.jpg    N - 1 pairs, i to i + 1
    index.csv                                                  one row a video

Sets extracted by other tools are read as they are, by the name of their layout. A folder of frames
or flow appears under its final name by one rename, when it is whole; the row follows it.
"""

import csv
import dataclasses
import io
import os
from pathlib import Path

import pandas as pd

from vidrec.files import write_atomic

INDEX_NAME = "index.csv"


@dataclasses.dataclass(frozen=True)
class Layout:
    """File names as patterns of `{video_id}`, `{video}` (the id's last part) and `{i:05d}`."""

    frame: str
    flow_x: str
    flow_y: str

    def path(self, kind, video_id, i):
        """Path below the root of image number `i` >= 1; kind: "frame", "flow_x" or "flow_y"."""
        return getattr(self, kind).format(video_id=video_id, video=video_id.split("/")[-1], i=i)

    def parts(self, kind, video_id):
        """(prefix, digits, suffix): what comes before and after a number of so many digits."""
        head, tail = getattr(self, kind).split("{i:0")
        digits, suffix = tail.split("d}")
        prefix = head.format(video_id=video_id, video=video_id.split("/")[-1])
        return prefix, int(digits), suffix


LAYOUTS = {
    "vidrec": Layout(
        "frames/{video_id}/img_{i:05d}.jpg",
        "flow/{video_id}/flow_x_{i:05d}.jpg",
        "flow/{video_id}/flow_y_{i:05d}.jpg",
    ),
    "tsn": Layout(
        "{video}/img_{i:05d}.jpg", "{video}/flow_x_{i:05d}.jpg", "{video}/flow_y_{i:05d}.jpg"
    ),
    "mmaction2": Layout(
        "{video_id}/img_{i:05d}.jpg", "{video_id}/x_{i:05d}.jpg", "{video_id}/y_{i:05d}.jpg"
    ),
    "feichtenhofer": Layout(
        "jpegs_256/{video}/frame{i:06d}.jpg",
        "tvl1_flow/u/{video}/frame{i:06d}.jpg",
        "tvl1_flow/v/{video}/frame{i:06d}.jpg",
    ),
}


@dataclasses.dataclass(kw_only=True)
class Row:
    """One video of the index.

    status is "ok", "partial" (fewer frames decoded than the file promises) or "failed"; `message`
    says why. n_flow is 0 until flow is extracted, and then n_frames - 1.
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
    flow_algorithm: str = ""
    flow_parameters: str = ""
    cv2_version: str = ""
    status: str = "ok"
    message: str = ""


COLUMNS = [field.name for field in dataclasses.fields(Row)]
_TYPES = {field.name: field.type for field in dataclasses.fields(Row)}


@dataclasses.dataclass(frozen=True)
class Store:
    """A root folder and its layout, a name from `LAYOUTS`.

    Raises:
        ValueError: if `layout` is unknown.
    """

    root: Path
    layout: str = "vidrec"

    def __post_init__(self):
        object.__setattr__(self, "root", Path(self.root))
        if self.layout not in LAYOUTS:
            raise ValueError(
                f"`layout` must be one of {sorted(LAYOUTS)}. Received: layout={self.layout!r}"
            )

    @property
    def names(self):
        """The Layout: patterns of file names below the root."""
        return LAYOUTS[self.layout]

    @property
    def index_path(self):
        return self.root / INDEX_NAME

    def path(self, kind, video_id, i):
        """Path of image number `i` >= 1 of a video; kind: "frame", "flow_x" or "flow_y"."""
        return self.root / self.names.path(kind, video_id, i)

    def folder(self, kind, video_id):
        """Path of the folder that holds a video's images of one kind."""
        return self.path(kind, video_id, 1).parent

    def append(self, row):
        """Adds a Row to the index, at once on the disk.

        The last row of a video counts; a line that a killed process left torn is dropped. One
        process writes an index at a time.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        with open(self.index_path, "ab+") as file:
            if not _ends_with_newline(file):
                _drop_torn_line(file)
            if file.seek(0, os.SEEK_END) == 0:  # new, or its header was torn
                writer.writeheader()
            writer.writerow(dataclasses.asdict(row))
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())

    def index(self):
        """The index as a DataFrame with the columns of `Row`, sorted by video_id, one row each.

        Raises:
            FileNotFoundError: if there is no index yet.
            ValueError: if it has other columns.
        """
        text = self._whole_lines()
        if not text:
            raise FileNotFoundError(
                f"There is no index at {self.index_path}. Extract the frames first "
                "(`vidrec extract-frames`), or build an index of a set extracted by another tool "
                "(`vidrec index`)."
            )
        strings = [name for name, kind in _TYPES.items() if kind is str]
        table = pd.read_csv(
            io.StringIO(text), dtype=dict.fromkeys(strings, str), keep_default_na=False
        )
        if list(table.columns) != COLUMNS:
            raise ValueError(
                f"{self.index_path} must have the columns {COLUMNS}. "
                f"Received: {list(table.columns)}"
            )
        table = table.drop_duplicates("video_id", keep="last").sort_values("video_id")
        return table.reset_index(drop=True)

    def _whole_lines(self):
        """The text of the index without a torn last line; "" if there is no index yet."""
        if not self.index_path.exists():
            return ""
        data = self.index_path.read_bytes()
        return data[: data.rfind(b"\n") + 1].decode()

    def rows(self):
        """The index as a dict, video_id -> Row; empty if there is no index yet."""
        if not self._whole_lines():
            return {}
        records = self.index().to_dict("records")
        return {record["video_id"]: Row(**record) for record in records}

    def compact(self, *, without=()):
        """Rewrites the index with one row a video, sorted, by one rename; returns it.

        Args:
            without: video ids whose rows are left out. Their images stay.
        """
        table = self.index()
        table = table[~table.video_id.isin(list(without))].reset_index(drop=True)
        write_atomic(self.index_path, table.to_csv(index=False, lineterminator="\r\n").encode())
        return table

    def scan(self, video_ids=None):
        """Makes the rows of a set that another tool extracted, by looking at its files.

        Args:
            video_ids: the ids to look for, or None for every folder that holds frames. Layouts
                without class folders need them, since there the files do not tell the class.

        Returns:
            list of Row, sorted by video_id. A video whose images have gaps, whose flow x and y
            differ in number, or whose flow does not count N - 1 is "failed" and says why.

        Raises:
            FileNotFoundError: if no image is found.
        """
        if video_ids is None:
            head, depth = self.names.frame.split("{")[0], "*"
            if "{video_id}" in self.names.frame:
                depth = "*/*"
            folders = [path for path in (self.root / head).glob(depth) if path.is_dir()]
            video_ids = [path.relative_to(self.root / head).as_posix() for path in folders]
            # hidden ones are what a killed `new_folder` leaves
            video_ids = [name for name in video_ids if "/." not in f"/{name}"]
        rows = [self._scan_video(video_id) for video_id in sorted(video_ids)]
        if not any(row.n_frames for row in rows):
            raise FileNotFoundError(
                f"No images of layout {self.layout!r} under {self.root}: looked for "
                f"{self.root / self.names.frame}"
            )
        return rows

    def _scan_video(self, video_id):
        counts, problems = {}, []
        for kind in ("frame", "flow_x", "flow_y"):
            prefix, digits, suffix = self.names.parts(kind, video_id)
            start, folder = Path(prefix).name, self.root / Path(prefix).parent
            found = {
                name[len(start) : -len(suffix)]
                for name in (os.listdir(folder) if folder.is_dir() else [])
                if name.startswith(start) and name.endswith(suffix)
            }
            numbers = sorted(int(n) for n in found if n.isdigit() and len(n) == digits)
            counts[kind] = len(numbers)
            if numbers and numbers != list(range(1, len(numbers) + 1)):
                problems.append(
                    f"{kind} images must be numbered 1, 2, ... without gaps in {folder}"
                )
        if counts["frame"] == 0:
            problems.append(f"no frames in {self.folder('frame', video_id)}")
        elif counts["flow_x"] != counts["flow_y"]:
            problems.append(f"{counts['flow_x']} flow_x images but {counts['flow_y']} flow_y")
        elif counts["flow_x"] not in (0, counts["frame"] - 1):
            problems.append(
                f"{counts['frame']} frames need {counts['frame'] - 1} flow pairs, "
                f"found {counts['flow_x']}"
            )
        return Row(
            video_id=video_id,
            label=video_id.split("/")[0] if "/" in video_id else "",
            n_frames=counts["frame"],
            n_flow=counts["flow_x"],
            flow_algorithm=f"unknown ({self.layout})" if counts["flow_x"] else "",
            status="failed" if problems else "ok",
            message="; ".join(problems),
        )


def _ends_with_newline(file):
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _drop_torn_line(file):
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
