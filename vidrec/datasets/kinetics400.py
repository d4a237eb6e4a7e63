"""Kinetics-400: 400 classes, published with 306,245 clips."""

from vidrec.datasets.kinetics import Kinetics, facts_of


class Kinetics400(Kinetics):
    name, number = "kinetics400", 400
    facts = facts_of(number, reference="Kay et al. 2017, arXiv:1705.06950", suffix=".csv")
