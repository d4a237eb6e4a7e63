"""OpenCV: its several distributions in one folder `cv2`, TV-L1, FFmpeg, the system's libraries."""

import re

from vidrec.doctor.finding import error, ok, one_line, warning
from vidrec.doctor.here import pip
from vidrec.doctor.packages import fits, installed

WINDOWS, HEADLESS = "opencv-contrib-python", "opencv-contrib-python-headless"
DISTRIBUTIONS = (WINDOWS, HEADLESS, "opencv-python", "opencv-python-headless")
FORCE = ("--force-reinstall", "--no-deps")


def opencv(facts, need, *, numba):
    """Yields the findings.

    Args:
        facts: those of the probe, see `probes.opencv`.
        need: packaging Requirement that vidrec has of opencv-contrib-python, or None.
        numba: bool, whether it can be imported: then TV-L1 is computed without OpenCV's.
    """
    there = {name: version for name in DISTRIBUTIONS if (version := installed(name))}
    named = ", ".join(f"{name} {version}" for name, version in there.items())
    if "error" in facts:
        yield _without(facts["error"], there, named, need)
        return
    text = f"{facts['version']} ({named or facts['file']})"
    if not fits(need, _release(facts["version"])):
        mend = _install(_wanted(there, need), *FORCE)
        yield error("OpenCV", f"{text}: vidrec needs {need}", mend)
    elif len(there) > 1:
        text += f": {len(there)} distributions share the folder cv2, the last installed wins"
        if facts["tvl1"]:
            yield warning("OpenCV", text, "What it costs is in the line of TV-L1")
        else:
            mend = f"if TV-L1 goes missing:  {_install(_wanted(there, need), *FORCE)}"
            yield warning("OpenCV", text, mend)
    else:
        yield ok("OpenCV", text)
    if facts["tvl1"] is None:
        yield ok("TV-L1", "cv2.optflow.DualTVL1OpticalFlow_create works")
    else:
        yield _without_tvl1(facts["tvl1"], there, need, numba)
    if facts["ffmpeg"]:
        yield ok("FFmpeg", "in OpenCV")
    else:
        mend = _install(_wanted(there, need), *FORCE)
        yield error("FFmpeg", "this OpenCV is built without it: it reads no video files", mend)


def _release(version):
    """The version with a last number as distributions have it, and cv2 has not: the highest."""
    return f"{re.match(r'[0-9.]*[0-9]', version)[0]}.9999"


def _without(reason, there, named, need):
    """Finding about an OpenCV that cannot be imported."""
    reason = one_line(reason)
    if not there:
        return error("OpenCV", f"not installed ({reason})", _install(_wanted(there, need)))
    text = f"cannot be imported ({named}): {reason}"
    if ".so" in reason and "cannot open shared object" in reason and HEADLESS not in there:
        text += ". The system lacks a library for windows; the build without windows needs none"
        remove = pip("uninstall", "--yes", *there)
        return error("OpenCV", text, remove, _install(_version(HEADLESS, None, need)))
    return error("OpenCV", text, _install(_wanted(there, need), *FORCE))


def _without_tvl1(reason, there, need, numba):
    text = f"OpenCV has none that works ({one_line(reason)})"
    if there and not {WINDOWS, HEADLESS} & set(there):
        text += "; it is in opencv-contrib-python only"
    elif len(there) > 1:
        text += "; another distribution has written over opencv-contrib-python"
    mend = _install(_wanted(there, need), *FORCE)
    if numba:
        engine = "`--engine opencv` stops; the default engine, fast, is compiled by numba"
        return warning("TV-L1", f"{text}. {engine}", mend)
    return error("TV-L1", f"{text}, and there is no numba: no engine of TV-L1 is left", mend)


def _wanted(there, need):
    """What to install: the build, with windows or without, that is there, else the usual one."""
    name = HEADLESS if HEADLESS in there and WINDOWS not in there else WINDOWS
    return _version(name, there.get(name), need)


def _version(name, version, need):
    if version and fits(need, version):
        return f"{name}=={version}"
    return f"{name}{need.specifier if need else ''}"


def _install(what, *options):
    return pip("install", *options, what)
