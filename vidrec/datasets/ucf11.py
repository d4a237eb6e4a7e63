"""UCF11, the YouTube Action data set: 1,600 videos of 11 classes in 25 groups each.

It has no list files: its protocol is leave-one-group-out over the 25 groups. A name is
v_<word>_<group>_<clip>, where the word is not the class: v_shooting_01_02 is basketball.
"""

import re

from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts

WORDS = {  # in the file names -> class, as the folders call it
    "shooting": "basketball",
    "biking": "biking",
    "diving": "diving",
    "golf": "golf_swing",
    "riding": "horse_riding",
    "juggle": "soccer_juggling",
    "swing": "swing",
    "tennis": "tennis_swing",
    "jumping": "trampoline_jumping",
    "spiking": "volleyball_spiking",
    "walk_dog": "walking",
}

_NAME = re.compile(r"v_(?P<word>[a-z_]+)_(?P<group>\d{2})_\d{2}", re.IGNORECASE)


class UCF11(Dataset):
    name = "ucf11"
    facts = Facts(
        title="UCF11 (YouTube Action)",
        reference="Liu, Luo and Shah 2009, Recognizing realistic actions from videos in the wild",
        page="https://www.crcv.ucf.edu/data/UCF_YouTube_Action.php",
        licence="For non-commercial research only; the clips are from YouTube.",
        classes=11,
        videos=1600,
        downloads=(
            Download(
                file="UCF11_updated_mpg.rar",
                url="https://www.crcv.ucf.edu/data/UCF11_updated_mpg.rar",
                into="UCF11_updated_mpg",
            ),
        ),
        max_bytes=5 << 30,
    )
    folds = "leave-one-group-out"
    example = "v_<word>_<group>_<clip>, as v_shooting_01_02"
    sizes = {
        "basketball": 141,
        "biking": 145,
        "diving": 156,
        "golf_swing": 142,
        "horse_riding": 198,
        "soccer_juggling": 156,
        "swing": 137,
        "tennis_swing": 167,
        "trampoline_jumping": 119,
        "volleyball_spiking": 116,
        "walking": 123,
    }
    class_names = tuple(sizes)

    def identify(self, path):
        match = _NAME.fullmatch(path.stem)
        label = match and WORDS.get(match["word"].lower())
        return (label, path.stem, f"g{match['group']}") if label else None
