"""Kinetics-600: 600 classes, published with 495,547 clips."""

from vidrec.datasets.kinetics import Kinetics, facts_of


class Kinetics600(Kinetics):
    name, number = "kinetics600", 600
    facts = facts_of(number, reference="Carreira et al. 2018, arXiv:1808.01340", suffix=".txt")
