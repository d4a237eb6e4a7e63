"""UCF101: 13,320 videos of 101 classes in 25 groups each, with three official splits.

The lists come as a folder `ucfTrainTestlist`:

    classInd.txt      "1 ApplyEyeMakeup"
    trainlist01.txt   "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
    testlist01.txt    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"

Lists, folders and files in circulation differ in line ends and in case: file names say
HandStandPushups where the class list says HandstandPushups. Names are matched without regard to
case, and extensions are not compared, so that re-encoded videos are found.
"""

import re

from vidrec.datasets import listing
from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts

# fmt: off
CLASSES = (  # in the official order
    "ApplyEyeMakeup", "ApplyLipstick", "Archery", "BabyCrawling", "BalanceBeam", "BandMarching",
    "BaseballPitch", "Basketball", "BasketballDunk", "BenchPress", "Biking", "Billiards",
    "BlowDryHair", "BlowingCandles", "BodyWeightSquats", "Bowling", "BoxingPunchingBag",
    "BoxingSpeedBag", "BreastStroke", "BrushingTeeth", "CleanAndJerk", "CliffDiving",
    "CricketBowling", "CricketShot", "CuttingInKitchen", "Diving", "Drumming", "Fencing",
    "FieldHockeyPenalty", "FloorGymnastics", "FrisbeeCatch", "FrontCrawl", "GolfSwing", "Haircut",
    "Hammering", "HammerThrow", "HandstandPushups", "HandstandWalking", "HeadMassage", "HighJump",
    "HorseRace", "HorseRiding", "HulaHoop", "IceDancing", "JavelinThrow", "JugglingBalls",
    "JumpingJack", "JumpRope", "Kayaking", "Knitting", "LongJump", "Lunges", "MilitaryParade",
    "Mixing", "MoppingFloor", "Nunchucks", "ParallelBars", "PizzaTossing", "PlayingCello",
    "PlayingDaf", "PlayingDhol", "PlayingFlute", "PlayingGuitar", "PlayingPiano", "PlayingSitar",
    "PlayingTabla", "PlayingViolin", "PoleVault", "PommelHorse", "PullUps", "Punch", "PushUps",
    "Rafting", "RockClimbingIndoor", "RopeClimbing", "Rowing", "SalsaSpin", "ShavingBeard",
    "Shotput", "SkateBoarding", "Skiing", "Skijet", "SkyDiving", "SoccerJuggling",
    "SoccerPenalty", "StillRings", "SumoWrestling", "Surfing", "Swing", "TableTennisShot",
    "TaiChi", "TennisSwing", "ThrowDiscus", "TrampolineJumping", "Typing", "UnevenBars",
    "VolleyballSpiking", "WalkingWithDog", "WallPushups", "WritingOnBoard", "YoYo",
)
# fmt: on

_NAME = re.compile(r"v_(?P<label>[a-z]+)_(?P<group>g\d{2})_c\d{2}", re.IGNORECASE)
_CLASS = re.compile(r"(\d+)\s+(\S.*)")
_LINE = re.compile(r"([^/\\]+)/([^/\\]+)\.\w+(?:\s+(\d+))?")
_GROUP = re.compile(r"_(g\d{2})(?=_)", re.IGNORECASE)
_SPELLING = {name.casefold(): name for name in CLASSES}


class UCF101(Dataset):
    name = "ucf101"
    facts = Facts(
        title="UCF101",
        reference="Soomro, Zamir and Shah 2012, arXiv:1212.0402",
        page="https://www.crcv.ucf.edu/research/data-sets/ucf101/",
        licence="No licence is stated; the clips are from YouTube. For research.",
        classes=101,
        videos=13320,
        downloads=(
            Download(
                file="UCF101.rar",
                url="https://www.crcv.ucf.edu/data/UCF101/UCF101.rar",
                into="UCF101",
            ),
            Download(
                file="UCF101TrainTestSplits-RecognitionTask.zip",
                url="https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
                into="lists",
                # published by TensorFlow Datasets, url_checksums/ucf101.txt
                sha256="5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
            ),
        ),
        max_bytes=20 << 30,
    )
    official = {
        "official-1": {"train": 9537, "test": 3783},
        "official-2": {"train": 9586, "test": 3734},
        "official-3": {"train": 9624, "test": 3696},
    }
    example = "v_<Class>_gXX_cYY"
    class_names = CLASSES

    def identify(self, path):
        match = _NAME.fullmatch(path.stem)
        label = match and _SPELLING.get(match["label"].casefold())
        return (label, path.stem, match["group"].lower()) if label else None

    def locate(self, folder):
        what = f"The lists ucfTrainTestlist (from {self.facts.page})"
        return listing.locate(folder, "classInd.txt", what=what)

    def class_list(self, lists):
        return [_SPELLING.get(name.casefold(), name) for name in read_classes(lists)]

    def listing(self, name, lists):
        found = read_lists(lists, int(name[-1]), self.class_list(lists), self.key)
        bare = found.videos[found.videos.group == ""]
        found.problems += [
            f"{row.line} must name a group, as v_YoYo_g25_c05 does. Received: {row.video_id}"
            for row in bare.itertuples()
        ]
        return found


def group_of(stem):
    """The group "gXX" in a file name such as "v_Archery_g02_c01", lower case; "" without one."""
    found = _GROUP.findall(stem)
    return found[-1].lower() if found else ""  # the last: it stands next to the clip number


def read_classes(lists):
    """Class names (list of str) in the order of classInd.txt in the folder `lists`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is malformed or repeats, or the numbers are not 1 to N.
    """
    names, path = {}, lists / "classInd.txt"
    for line in listing.lines(path):
        match = _CLASS.fullmatch(line.text)
        if not match:
            raise ValueError(f"{line} must be `<index> <class>`. Received: {line.text!r}")
        index, name = int(match[1]), match[2]
        if index in names or name.casefold() in map(str.casefold, names.values()):
            raise ValueError(f"{line} must not repeat an index or a class. Received: {line.text!r}")
        listing.check(line, name)
        names[index] = name
    if not names or sorted(names) != list(range(1, len(names) + 1)):
        raise ValueError(
            f"{path} must number its classes 1 to N without a gap. Received: {sorted(names)}"
        )
    return [names[index] for index in sorted(names)]


def read_lists(lists, number, classes, key):
    """The Listing of trainlist<number>.txt and testlist<number>.txt in the folder `lists`.

    Args:
        lists: Path.
        number: int.
        classes: list of str, as classInd.txt numbers them.
        key: function of a video_id, see `Dataset.key`.

    Raises:
        FileNotFoundError: if a list is missing.
    """
    records, problems = [], []
    position = {name.casefold(): i for i, name in enumerate(classes)}
    for side in ("train", "test"):
        for line in listing.lines(lists / f"{side}list{number:02d}.txt"):
            match = _LINE.fullmatch(line.text)
            place = position.get(match[1].casefold()) if match else None
            if not match:
                problems.append(
                    f"{line} must be `<class>/<name>.<extension>`, with or without the class's "
                    f"index behind it. Received: {line.text!r}"
                )
            elif place is None:
                problems.append(f"{line} must name a class of classInd.txt. Received: {match[1]!r}")
            elif match[3] and int(match[3]) != place + 1:
                problems.append(
                    f"{line} must give {classes[place]} its index in classInd.txt, {place + 1}. "
                    f"Received: {line.text!r}"
                )
            else:
                name = f"{classes[place]}/{match[2]}"
                group = group_of(match[2])
                records.append((name, classes[place], group, side, str(line)))
    return listing.Listing.of(records, classes, problems, key)
