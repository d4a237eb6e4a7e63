"""File names of stores: vidrec's own, and those of sets that other tools extracted."""

import dataclasses

PACKED = "tfrecord"  # a layout without loose files: the images are in TFRecords


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
