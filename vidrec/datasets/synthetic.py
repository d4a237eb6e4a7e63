"""The embedded data set: drawn clips whose class is an appearance crossed with a motion.

Nine classes, three appearances times three motions. What each stream can see is limited by
construction, so that fusion must be what makes the difference:

* The appearances differ in chroma alone (hue, and the layout of two hues). Luma, outline, path,
  camera jitter and noise come from seeds that do not know the appearance, and drawn gray frames of
  the three are equal. TV-L1 flow is computed from gray, so the temporal stream cannot tell the
  appearances apart: 1/3, up to chance (and to what JPG's coding of colour leaks into gray).
* The motions differ in how one pose follows another. At any one time x, y and radius have the same
  distribution for every motion, and the consensus of segments has no order, so the spatial stream
  cannot tell the motions apart: 1/3, up to chance.
* One scene (background, outline, luma texture) serves all nine classes of a group, so the
  background says nothing of the class; the split is by group, so test scenes are new.

The motions stay distinct under left-right and up-down flips: a horizontal swing, an orbit, a pulse.
"""

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np

# Two hues of each appearance as (Cr, Cb) around the neutral 128, and how they are laid out.
APPEARANCES = {
    "AmberStripes": (((172, 84), (150, 108)), "stripes"),
    "GreenChecks": (((92, 96), (112, 112)), "checks"),
    "BlueDots": (((104, 174), (122, 148)), "dots"),
}
MOTIONS = ("Swing", "Orbit", "Pulse")
LISTS = "ucfTrainTestlist"
DRAWING = 1  # raise it when equal arguments no longer give equal pixels
PATCH = 96  # px, the side of the object's own image before it is scaled into the frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticSpec:
    """What to draw. Equal specs give equal pixels.

    Attributes:
        groups: int >= 2, scenes; named g01, g02, ...
        test_groups: int, how many of the groups (the first ones, as in UCF101) are for test.
        clips: int >= 1, clips per class and group; named c01, c02, ...
        frames: int >= 2, frames per clip.
        size: int >= 32, width and height of the videos, px.
        fps: int >= 1; OpenCV's Motion JPEG writer would round others.
        seed: int >= 0.

    Raises:
        ValueError: if a value is outside its range.
    """

    groups: int = 12
    test_groups: int = 3
    clips: int = 3
    frames: int = 20
    size: int = 80
    fps: int = 25
    seed: int = 0

    def __post_init__(self):
        least = {"groups": 2, "test_groups": 1, "clips": 1, "frames": 2, "size": 32, "fps": 1}
        for name, low in {**least, "seed": 0}.items():
            value = getattr(self, name)
            if value != int(value) or value < low:
                raise ValueError(
                    f"`{name}` must be a whole number, at least {low}. Received: {name}={value}"
                )
        if self.test_groups >= self.groups:
            raise ValueError(
                "`test_groups` must leave at least one of the `groups` for training. "
                f"Received: test_groups={self.test_groups}, groups={self.groups}"
            )


def class_names():
    """The nine class names, sorted: appearance + motion, as in "AmberStripesOrbit"."""
    return sorted(appearance + motion for appearance in APPEARANCES for motion in MOTIONS)


def poses(spec, group, clip, motion):
    """Where the object is in each frame of a clip, without camera jitter.

    Returns:
        float64 (frames, 3): centre x and y in px, radius in px.

    Raises:
        ValueError: if `motion` is not one of `MOTIONS`.
    """
    if motion not in MOTIONS:
        raise ValueError(f"`motion` must be one of {MOTIONS}. Received: motion={motion!r}")
    rng = np.random.default_rng([spec.seed, 1, group, clip])  # the same draw for every class
    centre = rng.uniform(0.36, 0.64, 2) * spec.size
    radius = rng.uniform(0.17, 0.26) * spec.size
    amplitude = rng.uniform(0.08, 0.11) * spec.size
    angle = rng.uniform(0, 2 * np.pi) + np.arange(spec.frames) * 2 * np.pi / rng.uniform(9, 12)
    angle *= rng.choice([-1, 1])
    # What does not move rests at a random phase of what moves elsewhere, so that at any one time
    # x, y and radius are distributed alike for all motions.
    rest = rng.uniform(0, 2 * np.pi, 3)
    x, y, growth = {
        "Swing": (angle, rest[1], rest[2]),
        "Orbit": (angle, angle - np.pi / 2, rest[2]),
        "Pulse": (rest[0], rest[1], angle),
    }[motion]
    one = np.ones(spec.frames)
    return np.stack(
        [
            centre[0] + amplitude * np.cos(x) * one,
            centre[1] + amplitude * np.cos(y) * one,
            radius * np.exp(0.32 * np.cos(growth) * one),
        ],
        axis=1,
    )


def draw_clip(spec, appearance, motion, group, clip):
    """Draws one clip.

    Args:
        spec: SyntheticSpec.
        appearance: a key of `APPEARANCES`.
        motion: one of `MOTIONS`.
        group, clip: int >= 1.

    Returns:
        uint8 (frames, size, size, 3), BGR as OpenCV writes it.
    """
    scene = np.random.default_rng([spec.seed, 0, group])
    margin = 8
    background = _clutter(scene, spec.size + 2 * margin)
    patch, mask = _object(scene, appearance)
    take = np.random.default_rng([spec.seed, 2, group, clip, MOTIONS.index(motion)])
    jitter = _smooth(take.normal(0, 0.5, (spec.frames, 2)))

    frames = []
    for (x, y, radius), shake in zip(poses(spec, group, clip, motion), jitter, strict=True):
        moved = _warp(background, 1.0, shake - margin, spec.size)
        scale = 2 * radius / PATCH
        corner = np.array([x, y]) + shake - radius
        alpha = _warp(mask, scale, corner, spec.size)[..., None]
        image = moved * (1 - alpha) + _warp(patch, scale, corner, spec.size) * alpha
        image[..., 0] += take.normal(0, 2.5, image.shape[:2])  # sensor noise, luma only
        codes = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        frames.append(cv2.cvtColor(codes, cv2.COLOR_YCrCb2BGR))
    return np.stack(frames)


def write_videos(root, spec=None, *, progress=iter):
    """Writes the data set: `root/<Class>/v_<Class>_gXX_cYY.avi` and `root/ucfTrainTestlist/`.

    Clips that are there already are kept: a second call with the same spec resumes.

    Args:
        root: path of the folder to fill.
        spec: SyntheticSpec, or None for the default one.
        progress: wraps the list of clips, for a progress bar.

    Returns:
        The number of clips written by this call.

    Raises:
        FileExistsError: if `root` holds clips drawn by another spec.
        OSError: if a video cannot be written.
    """
    root, spec = Path(root), spec or SyntheticSpec()
    _claim(root, spec)
    clips = [
        (appearance, motion, group, clip)
        for group in range(1, spec.groups + 1)
        for appearance in APPEARANCES
        for motion in MOTIONS
        for clip in range(1, spec.clips + 1)
    ]
    written = 0
    for appearance, motion, group, clip in progress(clips):
        path = root / _name(appearance + motion, group, clip)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_avi(path, draw_clip(spec, appearance, motion, group, clip), spec.fps)
            written += 1
    _write_lists(root / LISTS, spec, clips)
    return written


def _claim(root, spec):
    """Records what the folder was drawn with; refuses to mix two specs in one folder."""
    record = root / "synthetic.json"
    wanted = {"drawing": DRAWING, **dataclasses.asdict(spec)}
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != wanted:
            raise FileExistsError(
                f"{record} says that this folder was drawn with other arguments. Choose another "
                f"folder, or remove this one. Received: {wanted}, found: {found}"
            )
        return
    root.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


def _name(label, group, clip):
    return f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"


def _write_lists(folder, spec, clips):
    """The official style of UCF101: classInd, and lists whose train lines carry the class."""
    folder.mkdir(exist_ok=True)
    index = {name: i for i, name in enumerate(class_names(), start=1)}
    train, test = [], []
    for appearance, motion, group, clip in clips:
        label = appearance + motion
        name = _name(label, group, clip)
        if group <= spec.test_groups:
            test.append(name)
        else:
            train.append(f"{name} {index[label]}")
    lines = {
        "classInd.txt": [f"{i} {name}" for name, i in index.items()],
        "trainlist01.txt": sorted(train),
        "testlist01.txt": sorted(test),
    }
    for name, content in lines.items():
        (folder / name).write_text("\n".join(content) + "\n", encoding="utf-8")


def _write_avi(path, frames, fps):
    """Motion JPEG in AVI, which every OpenCV build reads and writes; renamed when it is whole."""
    partial = path.with_name("." + path.name)
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(
        str(partial),
        cv2.CAP_OPENCV_MJPEG,
        cv2.VideoWriter_fourcc(*"MJPG"),
        fps,
        (width, height),
        [cv2.VIDEOWRITER_PROP_QUALITY, 95],
    )
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write {partial}. Is the folder writable and the disk full?")
    for frame in frames:
        writer.write(frame)
    writer.release()
    if not partial.exists() or partial.stat().st_size == 0:
        raise OSError(f"OpenCV wrote nothing to {partial}. Is the disk full?")
    os.replace(partial, path)


def _clutter(rng, side):
    """A background: overlapping ellipses of any luma and weak chroma, YCrCb float32."""
    image = np.empty((side, side, 3), np.float32)
    image[:] = (rng.uniform(70, 180), *rng.uniform(118, 138, 2))
    for _ in range(45):
        colour = (rng.uniform(50, 205), *rng.uniform(108, 148, 2))
        centre = tuple(int(v) for v in rng.uniform(0, side, 2))
        axes = tuple(int(v) for v in rng.uniform(3, side / 5, 2))
        cv2.ellipse(image, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def _object(rng, appearance):
    """The object's image (PATCH, PATCH, 3), YCrCb, and its outline as a mask in [0, 1].

    Luma and outline are drawn before the appearance is looked at, so they are equal for all three.
    """
    luma = cv2.GaussianBlur(rng.normal(0, 1, (PATCH, PATCH)), (0, 0), 4)
    luma = 128 + 34 * luma / np.abs(luma).max()
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = PATCH / 2 * rng.uniform(0.72, 1.0, 12)
    corners = PATCH / 2 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    mask = np.zeros((PATCH, PATCH), np.float32)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0)

    (first, second), layout = APPEARANCES[appearance]
    y, x = np.mgrid[:PATCH, :PATCH] // 16
    where = {
        "stripes": y % 2 == 0,
        "checks": (x + y) % 2 == 0,
        "dots": np.hypot(*(np.mgrid[:PATCH, :PATCH] % 24 - 12)) < 7,
    }[layout]
    chroma = np.where(where[..., None], first, second)
    image = np.concatenate([luma[..., None], chroma], axis=2).astype(np.float32)
    return image, mask


def _smooth(steps):
    """A bounded random walk: each frame's shake is most of the last one's plus a small step."""
    shake = np.zeros_like(steps)
    for i in range(1, len(steps)):
        shake[i] = 0.8 * shake[i - 1] + steps[i]
    return shake


def _warp(image, scale, corner, size):
    """`image` scaled, its corner put at `corner` (x, y) px, cut to (size, size); 0 outside."""
    matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
