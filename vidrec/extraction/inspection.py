"""Whether the images of one video are what its row of the index says, in a worker."""

import collections
import dataclasses
import hashlib
import io
import itertools
import os
import re
import warnings
from pathlib import Path

from PIL import Image

from vidrec.extraction.source import is_there, source_bytes, source_sha256
from vidrec.packs import IMAGES

NAMED = 5  # images that are named where several are wrong in the same way


@dataclasses.dataclass(frozen=True, order=True)
class Fault:
    """What is not as it must be.

    Attributes:
        video_id: str, "" for what belongs to no video of the index.
        kind: what is to be done again: "frames" (and the flow with them), "flow", or "row", the
            whole extraction, which did not end well. "stray": nothing, it is to be removed.
        message: str for people: the file, what must hold, what was found.
    """

    video_id: str
    kind: str
    message: str


def inspect_video(store, row):
    """The faults of one video's images, as a list of Fault. Nothing is changed.

    Args:
        store: Store with a layout of loose files.
        row: Row.
    """
    findings, sizes = _Findings(row.video_id), {}
    if row.source_sha256:
        _check_source(row, findings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of Pillow, on what it can only guess
        digests = {kind: _check_images(store, row, kind, findings, sizes) for kind in IMAGES}
    _check_sizes(row, findings, sizes)
    for kind, (image, *_) in IMAGES.items():
        expected = getattr(row, f"{kind}_sha256") if claimed(row, kind) else ""
        if expected not in ("", digests[kind]) and kind not in findings.kinds:
            must = f"hold the {kind} whose sha256 is in the index, {expected}"
            findings.add(kind, store.folder(image, row.video_id), must, digests[kind])
    pairs = max(0, row.n_frames - 1)
    if row.n_flow not in (0, pairs) and "frames" not in findings.kinds:
        must = f"hold {pairs} flow pairs, one fewer than frames, or none"
        findings.add("flow", store.folder("flow_x", row.video_id), must, f"n_flow={row.n_flow}")
    return list(findings.faults())


def claimed(row, kind):
    """How many images of each name a Row claims, whatever its status; kind: "frames" or "flow"."""
    return max(0, row.n_frames if kind == "frames" else row.n_flow)


class _Findings:
    """What is wrong with one video. What is wrong with several images alike is one Fault."""

    def __init__(self, video_id):
        self.video_id, self.cases = video_id, {}

    @property
    def kinds(self):
        return {kind for kind, _ in self.cases}

    def add(self, kind, path, must, received):
        self.cases.setdefault((kind, must), {}).setdefault(path, received)

    def faults(self):
        for (kind, must), paths in self.cases.items():
            (first, received), *others = paths.items()
            text = f"{first} must {must}. Received: {received}"
            if others:
                names = [path.name for path, _ in others[:NAMED]]
                names += ["..."] * (len(others) > NAMED)
                text += f"; and {len(others)} more such images: {', '.join(names)}"
            yield Fault(self.video_id, kind, text)


def _check_source(row, findings):
    """The video, if it is still there: many people remove it when it is extracted."""
    try:
        if not is_there(row.source):
            return
        size = source_bytes(row.source)
        if size == row.source_bytes and source_sha256(row.source) == row.source_sha256:
            return
    except OSError:
        return  # as good as gone
    must = f"be the video of {row.source_bytes} bytes that was extracted: it has changed since"
    findings.add("frames", Path(row.source), must, f"{size} bytes with another sha256")


def _check_images(store, row, kind, findings, sizes):
    """Adds to `findings`, and to `sizes`: (kind, path) -> (width, height); returns the sha256."""
    digest, numbers = hashlib.sha256(), collections.defaultdict(list)
    top = Path(getattr(store.names, IMAGES[kind][0]).split("{")[0]).parts[:1]
    base = os.path.realpath(store.root.joinpath(*top))  # that one may be a link to another disk
    for image in IMAGES[kind] if claimed(row, kind) else ():
        folder = store.folder(image, row.video_id)
        if not os.path.isdir(folder):
            must = f"be a folder of {claimed(row, kind)} images"
            findings.add(kind, folder, must, "a file" if os.path.exists(folder) else "nothing")
        elif _is_inside(folder, base, kind, findings):
            for number in _check_numbers(store, row, kind, image, findings):
                numbers[number].append(store.path(image, row.video_id, number))
    for path in itertools.chain.from_iterable(numbers[number] for number in sorted(numbers)):
        data = _read(path, base, kind, findings)
        digest.update(data)
        size = _decode(data, path, kind, findings) if data else None
        if size:
            sizes[kind, path] = size
    return digest.hexdigest()


def _check_numbers(store, row, kind, image, findings):
    """The numbers, from 1 on, of those images of one pattern that are there and should be."""
    total, folder, numbers = claimed(row, kind), store.folder(image, row.video_id), set()
    ours = image_pattern(store, image)
    siblings = [image_pattern(store, other) for other in IMAGES[kind]]
    alone = store.layout == "vidrec"  # then a folder holds images of one kind, and nothing else
    # TSN's tool writes a flow pair behind the last frame, which is not read.
    last = total + (kind == "flow" and not alone)
    for name in sorted(os.listdir(folder)):
        match = ours.fullmatch(name)
        number = int(match[1]) if match else 0
        if 1 <= number <= last and name == store.path(image, row.video_id, number).name:
            numbers.add(number)
        elif match or (alone and not any(pattern.fullmatch(name) for pattern in siblings)):
            findings.add(kind, folder / name, f"be an image of 1 to {total}", "one too many")
    numbers.discard(total + 1)
    if len(numbers) < total:
        first = next(number for number in itertools.count(1) if number not in numbers)
        path, missing = store.path(image, row.video_id, first), total - len(numbers)
        findings.add(kind, path, f"be there: images are 1 to {total}", f"{missing} are missing")
    return numbers


def image_pattern(store, image):
    """A compiled pattern of the names of a store's images: "frame", "flow_x" or "flow_y"."""
    prefix, _, suffix = store.names.parts(image, "")
    # Longer numbers are not ours, and slow to read.
    return re.compile(f"{re.escape(Path(prefix).name)}([0-9]{{1,18}}){re.escape(suffix)}")


def _is_inside(path, base, kind, findings):
    target = os.path.realpath(path)
    if Path(target).is_relative_to(base):
        return True
    findings.add(kind, path, f"lie in {base}", f"a link to {target}")
    return False


def _read(path, base, kind, findings):
    """The bytes of a file; none if there is something wrong with it."""
    data = b""
    if not os.path.isfile(path) and not os.path.islink(path):  # a pipe would be waited for
        findings.add(kind, path, "be a file", "a folder, a pipe or a device")
    elif _is_inside(path, base, kind, findings):
        try:
            data = path.read_bytes()
            if not data:
                findings.add(kind, path, "be a JPG", "an empty file")
        except OSError as error:
            findings.add(kind, path, "be readable", error.strerror)
    return data


def _decode(data, path, kind, findings):
    """(width, height) of a JPG that decodes to its end, else None.

    By Pillow: OpenCV makes half an image of half a file, and says nothing.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
    except Exception:  # decoders raise anything for bytes that can be anything
        findings.add(kind, path, "be a JPG", f"{len(data)} bytes that begin {data[:8]!r}")
        return None
    try:
        image.load()
    except Exception as error:
        findings.add(kind, path, "decode to its end", str(error))
        return None
    if image.mode != "L" and (kind == "flow" or image.mode != "RGB"):
        must = "be gray" if kind == "flow" else "be gray or RGB"
        findings.add(kind, path, must, f"an image of mode {image.mode}")
    return image.size


def _check_sizes(row, findings, sizes):
    """Of sets that other tools extracted the index does not know the size."""
    if not sizes:
        return
    width, height = row.width, row.height
    if not width or not height:  # frames come first: they win a tie
        (width, height), _ = collections.Counter(sizes.values()).most_common(1)[0]
    for (kind, path), size in sizes.items():
        if size != (width, height):
            findings.add(kind, path, f"be of {width} x {height} px", f"{size[0]} x {size[1]} px")
