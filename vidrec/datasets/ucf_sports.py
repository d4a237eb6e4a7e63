"""UCF Sports: 150 clips of 10 classes. Its protocol is leave-one-out over the clips.

The archive has 13 folders. Three views of golf swings are one class, and two of kicks; swings on a
bench (the pommel horse) and from the side (the high bar) are two. A clip is a folder of its own:

    ucf action/Golf-Swing-Back/001/   a video file, or where the archive has none, JPG
                                      images, there or in a folder jpeg
"""

import logging

from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.table import as_table, check_text, real_folder, visible

FOLDERS = {  # folder of the archive -> class, as the official page calls it
    "Diving-Side": "Diving",
    "Golf-Swing-Back": "Golf Swing",
    "Golf-Swing-Front": "Golf Swing",
    "Golf-Swing-Side": "Golf Swing",
    "Kicking-Front": "Kicking",
    "Kicking-Side": "Kicking",
    "Lifting": "Lifting",
    "Riding-Horse": "Riding Horse",
    "Run-Side": "Running",
    "SkateBoarding-Front": "SkateBoarding",
    "Swing-Bench": "Swing-Bench",
    "Swing-SideAngle": "Swing-Side",
    "Walk-Front": "Walking",
}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")  # as extraction reads them

_FOLDERS = {name.casefold(): name for name in FOLDERS}
_log = logging.getLogger(__name__)


class UCFSports(Dataset):
    name = "ucf_sports"
    facts = Facts(
        title="UCF Sports",
        reference="Rodriguez, Ahmed and Shah 2008, Action MACH",
        page="https://www.crcv.ucf.edu/data/UCF_Sports_Action.php",
        licence="No licence is stated; the clips are from broadcasts. For research.",
        classes=10,
        videos=150,
        downloads=(
            Download(
                file="ucf_sports_actions.zip",
                url="https://www.crcv.ucf.edu/data/ucf_sports_actions.zip",
                into="ucf_sports_actions",
            ),
        ),
        max_bytes=10 << 30,
    )
    folds = "leave-one-out"
    sizes = {
        "Diving": 14,
        "Golf Swing": 18,
        "Kicking": 20,
        "Lifting": 6,
        "Riding Horse": 12,
        "Running": 13,
        "SkateBoarding": 12,
        "Swing-Bench": 20,
        "Swing-Side": 13,
        "Walking": 22,
    }
    class_names = tuple(sizes)

    def videos(self, root, *, lists=None):
        """The video table of the clips in the 13 folders, which lie below `root` at any depth.

        `group` is "": nobody says which clips are cut from one broadcast. A clip's `path` is its
        video file, or its folder of images.

        Raises:
            FileNotFoundError: if `root` is no folder, or none of the 13 is below it.
            ValueError: if a clip holds neither a video file nor images.
        """
        root, records, empty = real_folder(root), [], []
        for folder in _below(root):
            name = _FOLDERS[folder.name.casefold()]
            for clip in visible(folder, root):
                if not (clip.is_folder or clip.is_video):
                    continue
                check_text(clip.path)
                path = _content(clip.path, root) if clip.is_folder else clip.path
                if path is None:
                    empty.append(str(clip.path))
                number = clip.path.name if clip.is_folder else clip.path.stem
                label = FOLDERS[name]
                records.append((f"{label}/{name}-{number}", str(path), label, ""))
        if empty:
            raise ValueError(
                "The folder of a clip must hold a video file, or images. "
                f"Received: {len(empty)} that do not, the first: {sorted(empty)[:5]}"
            )
        if not records:
            raise FileNotFoundError(
                f"`root` must hold the folders of UCF Sports, {', '.join(FOLDERS)}. "
                f"Received: no clip of them in {root}"
            )
        return as_table(records)


def _below(root):
    """The folders of FOLDERS, `root` included, at any depth."""
    folders = [root]
    while folders:
        folder = folders.pop()
        if folder.name.casefold() in _FOLDERS:
            yield folder
        else:
            inside = (entry for entry in visible(folder, root) if entry.is_folder)
            folders += [entry.path for entry in inside if not entry.path.is_symlink()]


def _content(clip, root):
    """The video file of a clip's folder, or its folder of images, or None."""
    entries = visible(clip, root)
    files = [entry.path for entry in entries if entry.is_video]
    if len(files) > 1:
        _log.warning("%s has %d video files; the first is taken", clip, len(files))
    if files:
        return files[0]
    folders = [clip, *(entry.path for entry in entries if entry.path.name.casefold() == "jpeg")]
    return next((folder for folder in folders if _has_images(folder, root)), None)


def _has_images(folder, root):
    return any(entry.path.suffix.lower() in IMAGE_SUFFIXES for entry in visible(folder, root))
