"""What a pack is: the contract of `extraction.pack`, which writes it, and `pipeline.packed`.

A pack is a store whose images lie in a few large files. Its folder holds

    index.csv                 one row a video, as in any store
    pack.json                 the Manifest; complete is true when everything else is there
    frames-00000.tfrecord     records of the videos in the order of their ids, one a frame
    flow-00000.tfrecord       the same, one a flow pair: the x and the y image
    frames-00000.npz          where the records begin: a RecordTable, one beside each TFRecord file

A record is a `tf.train.Example` of "video_id", "kind" ("frames" or "flow"), "number" (from 1, as in
the names of loose files) and "images", the bytes of its JPGs as they were; so the files can be read
without their tables. A video's records of one kind are in one file, one after the other. A TFRecord
file appears by one rename after its table: where it is, both are whole.
"""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np

from vidrec.files import new_file, write_atomic

FORMAT = 1
MANIFEST_NAME = "pack.json"
IMAGES = {"frames": ("frame",), "flow": ("flow_x", "flow_y")}  # the images of a record, by kind
KINDS = {"rgb": "frames", "flow": "flow"}  # modality of a clip -> kind
HEADER_BYTES, FOOTER_BYTES = 12, 4  # of a TFRecord: the length and its CRC, the CRC of the data


@dataclasses.dataclass(kw_only=True)
class Manifest:
    """What pack.json says.

    Attributes:
        layout: str, the layout of the loose files, a name from `layouts.LAYOUTS`.
        file_bytes: int, a TFRecord file is closed behind the video that fills it so far.
        complete: bool.
        files, videos, records: dicts of int by kind, "frames" and "flow".
        without_images: int, videos of the index that are "failed" or have no frames.
        format: int, changes when older readers would be wrong.
    """

    layout: str
    file_bytes: int
    complete: bool = False
    files: dict = dataclasses.field(default_factory=dict)
    videos: dict = dataclasses.field(default_factory=dict)
    records: dict = dataclasses.field(default_factory=dict)
    without_images: int = 0
    format: int = FORMAT

    def write(self, root):
        text = json.dumps(dataclasses.asdict(self), indent=1)
        write_atomic(Path(root) / MANIFEST_NAME, text.encode() + b"\n")

    @classmethod
    def read(cls, root):
        """The manifest of a folder.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged or of another format.
        """
        path = Path(root) / MANIFEST_NAME
        if not path.exists():
            raise FileNotFoundError(
                f"A pack must have a {MANIFEST_NAME}. Received: {root}, which has none. Make one "
                "with `vidrec pack`, or name the layout of the loose files."
            )
        try:
            found = json.loads(path.read_bytes())
            if found["format"] == FORMAT:
                return cls(**found)
            received = f"format {found['format']}"
        except (ValueError, TypeError, KeyError) as error:
            received = repr(error)
        raise ValueError(
            f"{path} must be the manifest of a pack of format {FORMAT}. Received: {received}. "
            "Read it with the vidrec that made it, or pack again."
        )

    @classmethod
    def read_complete(cls, root):
        """As `read`; a pack that is not complete raises ValueError too."""
        manifest = cls.read(root)
        if not manifest.complete:
            raise ValueError(
                f"A pack must be complete to be read. Received: {root}, which is not. Run the same "
                "`vidrec pack` again: it goes on where it was stopped."
            )
        return manifest


@dataclasses.dataclass(frozen=True)
class RecordTable:
    """Where the records of one TFRecord file begin.

    Attributes:
        video_ids: list of str, in the order of the file.
        counts: int64 (V,), records of each video.
        offsets: int64 (R + 1,), R = sum of counts: the byte at which each record begins, and the
            length of the file.
    """

    video_ids: list
    counts: np.ndarray
    offsets: np.ndarray

    def write(self, root, kind, number):
        arrays = {"video_ids": np.array(self.video_ids, np.str_)}
        arrays |= {
            name: np.asarray(getattr(self, name), np.int64) for name in ("counts", "offsets")
        }
        with new_file(table_path(root, kind, number)) as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, root, kind, number):
        """The table of a TFRecord file that is there.

        Raises:
            ValueError: if either is missing or damaged, or the file has another length.
        """
        table, records = table_path(root, kind, number), records_path(root, kind, number)
        try:
            with open(table, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                found = cls(arrays["video_ids"].tolist(), arrays["counts"], arrays["offsets"])
            size = records.stat().st_size
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{records} must be there with its table, {table.name}. Received: {error!r}. Copy "
                "both again, or pack again into an empty folder."
            ) from error
        whole = len(found.video_ids) == len(found.counts)
        if not whole or len(found.offsets) != found.counts.sum() + 1 or found.offsets[-1] != size:
            raise ValueError(
                f"{records} must be as long as its table {table.name} says: "
                f"{found.offsets[-1:].tolist()} bytes. Received: {size} bytes. Copy both again, "
                "or pack again into an empty folder."
            )
        return found

    def places(self):
        """Yields (video_id, first record, number of records), in the order of the file."""
        firsts = np.cumsum(self.counts) - self.counts
        yield from zip(self.video_ids, firsts.tolist(), self.counts.tolist(), strict=True)


def records_path(root, kind, number):
    """Path of TFRecord file `number` >= 0 of a kind, "frames" or "flow"."""
    return Path(root) / f"{kind}-{number:05d}.tfrecord"


def table_path(root, kind, number):
    """Path of the RecordTable of that file."""
    return records_path(root, kind, number).with_suffix(".npz")


def check_loose(root):
    """Refuses a pack where a store of loose files is wanted.

    Raises:
        ValueError: if there is a pack in the folder `root`.
    """
    if (Path(root) / MANIFEST_NAME).exists():
        raise ValueError(
            f"A store of loose files is needed here. Received: {root}, which is a pack of TFRecord "
            "files. Train from it with `data.layout: tfrecord`, or unpack it with `vidrec pack "
            "--unpack`."
        )


def count(row, kind):
    """How many records of a kind a video has in a pack; `row`: Row of the index."""
    if row.status == "failed":  # its images may have gaps
        return 0
    return row.n_frames if kind == "frames" else row.n_flow


def is_empty(folder):
    """Whether a folder is not there or holds hidden files alone: locks, leftovers of a kill."""
    return not folder.exists() or all(path.name.startswith(".") for path in folder.iterdir())
