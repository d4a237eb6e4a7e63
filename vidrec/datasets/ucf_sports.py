"""UCF Sports: 150 clips of 10 classes. Its protocol is leave-one-out over the clips.

The archive has 13 folders. Three views of golf swings are one class, and two of kicks; swings on a
bench (the pommel horse) and from the side (the high bar) are two. A clip is a folder of its own:

    ucf action/Golf-Swing-Back/001/   a video file, or where the archive has none, JPG images
"""

from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.table import as_table, check_text, is_video, real_folder, visible

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

    def videos(self, root, *, lists=None):
        """The video table of the clips in the 13 folders, which lie below `root` at any depth.

        `group` is "": nobody says which clips are cut from one broadcast. A clip's `path` is its
        video file, or its folder of images.

        Raises:
            FileNotFoundError: if `root` is no folder, or none of the 13 is below it.
            ValueError: if a clip holds no images and no video file, or several.
        """
        root, records = real_folder(root), []
        for folder in _below(root):
            name = _FOLDERS[folder.name.casefold()]
            for clip in visible(folder, root):
                if clip.is_dir() or is_video(clip):
                    check_text(clip)
                    number = clip.name if clip.is_dir() else clip.stem
                    path = _content(clip, root) if clip.is_dir() else clip
                    label = FOLDERS[name]
                    records.append((f"{label}/{name}-{number}", str(path), label, ""))
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
            inside = (entry for entry in visible(folder, root) if not entry.is_symlink())
            folders += [entry for entry in inside if entry.is_dir()]


def _content(clip, root):
    """The video file of a clip's folder, or the folder if it holds images."""
    entries = visible(clip, root)
    files = [entry for entry in entries if is_video(entry)]
    if len(files) == 1:
        return files[0]
    if files or not any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        raise ValueError(
            "The folder of a clip must hold one video file, or images. "
            f"Received: {len(files)} video files in {clip}"
        )
    return clip
