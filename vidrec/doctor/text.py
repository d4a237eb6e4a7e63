"""Letters of file names: Python must take them for UTF-8, as OpenCV and TensorFlow do."""

import sys

from vidrec.doctor.finding import ok, warning
from vidrec.doctor.here import set_variable


def text():
    """Finding. An old locale such as LC_ALL=C with PYTHONUTF8=0 makes them something else."""
    encoding = sys.getfilesystemencoding()
    if encoding.lower().replace("-", "") == "utf8":
        return ok("text", "file names are UTF-8")
    told = f"Python takes file names for {encoding}: only names of English letters will do"
    return warning("text", told, set_variable("PYTHONUTF8", "1"))
