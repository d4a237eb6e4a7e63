"""Python and the packages that vidrec stands on, against the versions in vidrec's own metadata."""

import importlib.metadata
import os
import platform
import struct

from vidrec.doctor.finding import error, ok, warning
from vidrec.doctor.here import pip, service

ELSEWHERE = ("tensorflow", "keras", "opencv-contrib-python", "numba")  # have checks of their own


def wanted(extra=""):
    """What vidrec needs, or what an extra adds to that.

    Returns:
        {name: packaging Requirement}; empty if vidrec is not installed, or `packaging` is not,
        which Keras brings.
    """
    try:
        from packaging.requirements import Requirement

        requirements = [Requirement(text) for text in importlib.metadata.requires("vidrec") or ()]
    except ImportError:  # of both kinds
        return {}
    found = {}
    for requirement in requirements:
        marker, requirement.marker = requirement.marker, None  # it is nothing to type
        if marker.evaluate({"extra": extra}) if marker else not extra:
            found[requirement.name] = requirement
    return found


def installed(name):
    """The version of an installed distribution, "0" of one that is damaged, or None."""
    try:
        return importlib.metadata.version(name) or "0"
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(need, version):
    """Whether a Requirement takes a version; None takes any."""
    return need is None or need.specifier.contains(version, prereleases=True)


def python():
    """Finding about this Python."""
    version, bits = platform.python_version(), 8 * struct.calcsize("P")
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    text = f"{version}, {bits} bit, {system}{f', on {place}' if (place := service()) else ''}"
    needed = installed("vidrec") and importlib.metadata.metadata("vidrec")["Requires-Python"]
    if needed:
        from packaging.specifiers import SpecifierSet

        if not SpecifierSet(needed).contains(version, prereleases=True):
            mend = "make setup VENV=.venv-new PYTHON=python3.12"
            return error("Python", f"{text}: vidrec needs Python {needed}", mend)
    if bits < 64:
        mend = "Install a Python of 64 bit: https://www.python.org/downloads/"
        return error("Python", f"{text}: TensorFlow needs one of 64 bit", mend)
    return ok("Python", text)


def packages():
    """Finding about the packages that have no check of their own."""
    needs = [need for name, need in wanted().items() if name not in ELSEWHERE]
    if not needs:
        text = "vidrec is not installed for this Python: which versions it needs is not known"
        return warning("packages", text, pip("install", "--editable", "."))
    bad = [need for need in needs if not (found := installed(need.name)) or not fits(need, found)]
    if not bad:
        return ok("packages", f"{len(needs)} more, all in versions that vidrec takes")
    found = ", ".join(f"{need.name} {installed(need.name) or 'is missing'}" for need in bad)
    text = f"{found}; vidrec needs {', '.join(map(str, bad))}"
    return error("packages", text, pip("install", *map(str, bad)))


def tensorboard():
    """Finding about TensorBoard, which is used where it is installed."""
    version, need = installed("tensorboard"), wanted("tensorboard").get("tensorboard")
    if version and fits(need, version):
        return ok("TensorBoard", version)
    text = f"{version}: vidrec needs {need}" if version else "not installed: it shows no curves"
    return warning("TensorBoard", text, pip("install", str(need or "tensorboard")))
