"""Where a video's frames and flow lie, and the index of what is done.

The contract of those who write a store and those who read it. A store is a folder; in vidrec's own
layout it holds

    frames/<class>/<video>/img_00001.jpg                       N frames
    flow/<class>/<video>/flow_x_00001.jpg, flow_y_00001.jpg    N - 1 pairs, i to i + 1
    index.csv                                                  one row a video
    index.shard-2-of-4.csv                                     the same, of one part of the videos

Sets extracted by other tools are read as they are, by the name of their layout. A folder of frames
or flow appears under its final name by one rename, when it is whole; the row follows it.
"""

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path

from vidrec import index_file, locks
from vidrec.files import flush
from vidrec.index_file import Row
from vidrec.layouts import LAYOUTS, PACKED
from vidrec.shards import Shard

INDEX_NAME = "index.csv"


@dataclasses.dataclass(frozen=True)
class Store:
    """A root folder, its layout, and the part of the videos that this process writes.

    Args:
        root: path.
        layout: a name from `LAYOUTS`, or `PACKED`, whose images are in TFRecords: such a store has
            an index, and no paths.
        shard: "i/n", a Shard, or None. Rows are then written into the shard's own index, so that n
            machines can write side by side. Reading takes the rows of all.

    Raises:
        ValueError: if `layout` is unknown, or `shard` is none.
    """

    root: Path
    layout: str = "vidrec"
    shard: Shard | None = None

    def __post_init__(self):
        object.__setattr__(self, "root", Path(self.root))
        if self.layout not in {*LAYOUTS, PACKED}:
            raise ValueError(
                f"`layout` must be one of {sorted([*LAYOUTS, PACKED])}. "
                f"Received: layout={self.layout!r}"
            )
        if self.shard is not None and not isinstance(self.shard, Shard):
            object.__setattr__(self, "shard", Shard.parse(self.shard))

    @property
    def names(self):
        """The Layout: patterns of file names below the root.

        Raises:
            ValueError: if the images are packed.
        """
        if self.layout == PACKED:
            raise ValueError(
                f"A store of the layout {PACKED!r} must be read as TFRecords: its images are "
                f"packed, and have no paths. Received: root={str(self.root)!r}. To get loose "
                "files, unpack it with `vidrec pack --unpack`."
            )
        return LAYOUTS[self.layout]

    @property
    def index_path(self):
        """Path of the index that this store writes: index.csv, or its shard's."""
        return self.root / (INDEX_NAME if self.shard is None else self.shard.index_name)

    def path(self, kind, video_id, i):
        """Path of image number `i` >= 1 of a video; kind: "frame", "flow_x" or "flow_y"."""
        return self.root / self.names.path(kind, video_id, i)

    def folder(self, kind, video_id):
        """Path of the folder that holds a video's images of one kind."""
        return self.path(kind, video_id, 1).parent

    @contextlib.contextmanager
    def writing(self):
        """Holds the right to append and compact while the block runs; makes the root.

        Shards of one count write side by side. A store without a shard writes alone, and begins by
        merging what shards have left.

        Raises:
            RuntimeError: at once, if another process writes what this one would.
            ValueError: if there are shards of another count that are not merged yet.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with locks.writing(self.index_path, rivals=self._rivals):
            shards = self.shard_paths()
            others = [path for path in shards if self.shard and not self._beside(path)]
            if others:
                raise ValueError(
                    f"`shard` must be of as many parts as {others[0]}, until that is merged. "
                    f"Received: shard={str(self.shard)!r}. `vidrec merge` merges them."
                )
            if shards and not self.shard:
                self._merge()
            yield

    def _rivals(self):
        """Paths of the indices whose writers this one would disturb, or they it."""
        shards = [path for path in locks.ever_locked(self.root) if Shard.of_index(path.name)]
        if self.shard is None:
            return shards
        return [self.root / INDEX_NAME, *(path for path in shards if not self._beside(path))]

    def _beside(self, path):
        """Whether a shard's index may be written while this store's is."""
        return Shard.of_index(path.name).count == self.shard.count

    def shard_paths(self):
        """Paths of the shards' indices that are there, not merged yet."""
        names = sorted(os.listdir(self.root)) if self.root.is_dir() else []
        return [self.root / name for name in names if Shard.of_index(name)]

    def append(self, row):
        """Adds a Row to the index, at once on the disk; the last row of a video counts.

        A line that a killed process or a full disk left torn is dropped. A run holds `writing()`.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        index_file.append(self.index_path, row)

    def index(self):
        """The index as a DataFrame with the columns of `Row`, sorted by video_id, one row each.

        A shard's row of a video counts more than that of index.csv.

        Raises:
            FileNotFoundError: if there is no index yet.
            ValueError: if an index is damaged, has unknown columns, or leads out of the root.
        """
        table = self._read()
        if table is None:
            raise FileNotFoundError(
                f"There is no index at {self.root / INDEX_NAME}. Extract the frames first "
                "(`vidrec extract-frames`), or build an index of a set extracted by another tool "
                "(`vidrec index`)."
            )
        return table

    def _read(self):
        # Shards first: what a merge takes from them in the meantime is then in index.csv.
        shards = [index_file.read(path) for path in self.shard_paths()]
        return index_file.merge([index_file.read(self.root / INDEX_NAME), *shards])

    def rows(self):
        """The index as a dict, video_id -> Row; empty if there is no index yet."""
        table = self._read()
        records = [] if table is None else table.to_dict("records")
        return {record["video_id"]: Row(**record) for record in records}

    def fingerprint(self):
        """Hash of all rows, 64 hexadecimal digits: the sha256 of index.csv once it is merged."""
        return hashlib.sha256(index_file.to_bytes(self.index())).hexdigest()

    def is_compact(self):
        """Whether the index is as `compact` leaves it. Not so after a kill just before that."""
        table = index_file.merge([index_file.read(self.index_path)])
        return table is None or self.index_path.read_bytes() == index_file.to_bytes(table)

    def compact(self, *, without=()):
        """Rewrites the index with one row a video, sorted, by one rename; returns it, as `index`.

        Without a shard, all shards are merged into index.csv. A shard rewrites only its own.

        Args:
            without: video ids whose rows are left out. Their images stay.

        Raises:
            FileNotFoundError, ValueError: as `index`.
            RuntimeError: if another process is writing the index.
        """
        self.index()  # says what to do if there is none
        if not locks.is_writing(self.index_path):
            with self.writing():
                return self.compact(without=without)
        if self.shard is None:
            self._merge(without)
        elif (table := index_file.merge([index_file.read(self.index_path)])) is not None:
            self._write(table, without)
        return self.index()

    def _merge(self, without=()):
        table, shards = self._read(), self.shard_paths()
        if table is not None:
            self._write(table, without)
            flush(self.root)
        for path in shards:  # copies by now: a kill before they are gone does no harm
            path.unlink()

    def _write(self, table, without):
        index_file.write(self.index_path, table[~table.video_id.isin(list(without))])
