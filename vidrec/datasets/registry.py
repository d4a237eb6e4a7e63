"""Data sets by name."""

import dataclasses

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


def published(name, *, only=None):
    """The Facts of the data set called `name`, with all its downloads or one of them.

    Args:
        name: str.
        only: str, the file that is wanted, or None for all.

    Raises:
        ValueError: if there is no such data set, it is not a published one, or has no such file.
    """
    facts = get(name).facts
    if facts is None:
        raise ValueError(
            f"`name` must be a published data set. Received: {name!r}, whose videos are your own"
        )
    files = [download.file for download in facts.downloads]
    if only is not None and only not in files:
        raise ValueError(f"`only` must be one of {', '.join(files)}. Received: {only!r}")
    wanted = tuple(download for download in facts.downloads if only in (None, download.file))
    return dataclasses.replace(facts, downloads=wanted)
