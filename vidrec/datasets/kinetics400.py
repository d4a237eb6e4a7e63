"""Kinetics-400: 400 classes, published with 306,245 clips."""

from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.kinetics import Kinetics

_ADDRESS = "https://s3.amazonaws.com/kinetics/400/annotations/"


class Kinetics400(Kinetics):
    name, number = "kinetics400", 400
    facts = Facts(
        title="Kinetics-400",
        reference="Kay et al. 2017, arXiv:1705.06950",
        page="https://github.com/cvdfoundation/kinetics-dataset",
        licence="Lists: Creative Commons Attribution 4.0. The clips belong to those who made them.",
        classes=400,
        videos=None,
        downloads=tuple(
            Download(file=f"{side}.csv", url=f"{_ADDRESS}{side}.csv", into="annotations")
            for side in ("train", "val", "test")
        ),
        max_bytes=2 << 40,
    )
