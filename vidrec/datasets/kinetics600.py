"""Kinetics-600: 600 classes, published with 495,547 clips."""

from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.kinetics import Kinetics

_ADDRESS = "https://s3.amazonaws.com/kinetics/600/annotations/"


class Kinetics600(Kinetics):
    name, number = "kinetics600", 600
    facts = Facts(
        title="Kinetics-600",
        reference="Carreira et al. 2018, arXiv:1808.01340",
        page="https://github.com/cvdfoundation/kinetics-dataset",
        licence="Lists: Creative Commons Attribution 4.0. The clips belong to those who made them.",
        classes=600,
        videos=None,
        downloads=tuple(
            Download(file=f"{side}.txt", url=f"{_ADDRESS}{side}.txt", into="annotations")
            for side in ("train", "val", "test")
        ),
        max_bytes=2 << 40,
    )
