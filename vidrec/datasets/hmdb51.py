"""HMDB51: 6,766 listed videos of 51 classes, with three official splits.

The lists come as a folder `testTrainMulti_7030_splits` of one file for each class and split:

    brush_hair_test_split1.txt   "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1"

1 is training (70 videos of each class), 2 is test (30), 0 is in neither. A name is source, class,
body parts, camera motion, people, viewpoint, quality and number. The splits keep the clips of a
source on one side within each class, and not over classes: some films feed several.
"""

import re

from vidrec.datasets import listing
from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts

SPLIT = {"train": 70, "test": 30}  # videos of each class
# fmt: off
CLASSES = (
    "brush_hair", "cartwheel", "catch", "chew", "clap", "climb", "climb_stairs", "dive",
    "draw_sword", "dribble", "drink", "eat", "fall_floor", "fencing", "flic_flac", "golf",
    "handstand", "hit", "hug", "jump", "kick", "kick_ball", "kiss", "laugh", "pick", "pour",
    "pullup", "punch", "push", "pushup", "ride_bike", "ride_horse", "run", "shake_hands",
    "shoot_ball", "shoot_bow", "shoot_gun", "sit", "situp", "smile", "smoke", "somersault",
    "stand", "swing_baseball", "sword", "sword_exercise", "talk", "throw", "turn", "walk",
    "wave",
)
# fmt: on

_NAME = re.compile(r"(?P<what>.+)_[fhlu]_[cn]m_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")
_LINE = re.compile(r"(\S+)\.\w+\s+([012])")
_SIDES = {"0": "", "1": "train", "2": "test"}
_ADDRESS = "https://serre-lab.clps.brown.edu/wp-content/uploads/2013/10/"


class HMDB51(Dataset):
    name = "hmdb51"
    facts = Facts(
        title="HMDB51",
        reference="Kuehne, Jhuang, Garrote, Poggio and Serre 2011",
        page="https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
        licence="Creative Commons Attribution 4.0.",
        classes=51,
        videos=6766,
        downloads=(
            Download(file="hmdb51_org.rar", url=f"{_ADDRESS}hmdb51_org.rar", into="hmdb51_org"),
            Download(
                file="test_train_splits.rar", url=f"{_ADDRESS}test_train_splits.rar", into="lists"
            ),
        ),
        max_bytes=10 << 30,
    )
    official = {f"official-{number}": {"train": 3570, "test": 1530} for number in (1, 2, 3)}
    class_names = CLASSES
    example = "<source>_<class>_f_cm_np1_fr_med_0, as the archive has them"

    def identify(self, path):
        label = _label(path.stem, path.parent.name)
        return None if label is None else (label, path.stem, _source(path.stem, label))

    def locate(self, folder):
        what = f"The lists testTrainMulti_7030_splits (from {self.facts.page})"
        return listing.locate(folder, "brush_hair_test_split1.txt", what=what)

    def class_list(self, lists):
        return sorted(
            {path.name.split("_test_split")[0] for path in lists.glob("*_test_split*.txt")}
        )

    def listing(self, name, lists):
        classes, records, problems = self.class_list(lists), [], []
        for label in classes:
            path = lists / f"{label}_test_split{name[-1]}.txt"
            counts = dict.fromkeys(SPLIT, 0)
            for line in listing.lines(path):
                match = _LINE.fullmatch(line.text)
                if not match:
                    problems.append(
                        f"{line} must be `<name>.avi` and 0, 1 or 2. Received: {line.text!r}"
                    )
                    continue
                side = _SIDES[match[2]]
                counts[side] = counts.get(side, 0) + 1
                source = _source(match[1], label)
                records.append((f"{label}/{match[1]}", label, source, side, str(line)))
            for side, size in SPLIT.items():
                if counts[side] != size:
                    problems.append(
                        f"{path} must list {size} videos of {side}. Received: {counts[side]}"
                    )
        return listing.Listing.of(records, classes, problems, self.key)


def _label(stem, folder):
    """The class in a file name; its class folder decides where two could be meant."""
    match = _NAME.fullmatch(stem)
    if not match:
        return None
    named = [name for name in CLASSES if f"_{match['what']}".endswith(f"_{name}")]
    return folder if folder in named else max(named, key=len, default=None)


def _source(stem, label):
    """What of a file name comes before the class: the film or video that the clip is cut from."""
    match = _NAME.fullmatch(stem)
    return match["what"].removesuffix(label).removesuffix("_") if match else ""
