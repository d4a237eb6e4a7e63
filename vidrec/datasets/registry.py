"""Data sets by name."""

from vidrec.datasets.folder import Folder
from vidrec.datasets.hmdb51 import HMDB51
from vidrec.datasets.kinetics400 import Kinetics400
from vidrec.datasets.kinetics600 import Kinetics600
from vidrec.datasets.ucf11 import UCF11
from vidrec.datasets.ucf101 import UCF101
from vidrec.datasets.ucf_sports import UCFSports

DATASETS = {
    kind.name: kind()
    for kind in (Folder, UCF101, HMDB51, UCF11, UCFSports, Kinetics400, Kinetics600)
}


def get(name):
    """The Dataset called `name`.

    Raises:
        ValueError: if there is none.
    """
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}. Received: {name!r}")
    return DATASETS[name]
