"""numba, which compiles the fast TV-L1, and where it keeps what it compiled."""

import os

from vidrec.doctor.finding import ok, one_line, warning
from vidrec.doctor.here import pip, set_variable
from vidrec.doctor.packages import fits

CACHE = "NUMBA_CACHE_DIR"


def numba(facts, need):
    """Finding; never an error: OpenCV's TV-L1 gives the same, slower.

    Args:
        facts: those of the probe, see `probes.numba`.
        need: packaging Requirement that vidrec has of numba, or None.
    """
    slower = "TV-L1 is computed by OpenCV, which takes many times as long"
    install = pip("install", "--upgrade", str(need or "numba"))
    if "error" in facts:
        return warning("numba", f"{one_line(facts['error'])}: {slower}", install)
    if not fits(need, facts["version"]):
        return warning("numba", f"{facts['version']}: vidrec needs {need}", install)
    if facts["cache"] is None:
        text = (
            f"{facts['version']}, and no folder for its cache can be written: every process "
            "compiles TV-L1 again"
        )
        return warning("numba", text, set_variable(CACHE, os.path.abspath("numba-cache")))
    return ok("numba", f"{facts['version']}, cache in {facts['cache']}")
