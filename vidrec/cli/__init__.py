"""`vidrec <verb>`: thin calls of `vidrec.experiment`. Heavy imports wait until they are needed.

Exit codes: 0 done; 1 done, but some videos are not whole, or `vidrec doctor` found an error; 2 not
done, the message says why; 130 interrupted, run again to go on.
"""

import argparse
import contextlib
import io
import os
import signal
import sys
import traceback

import vidrec
from vidrec.cli import data, doctor, extraction, results, runs, serving
from vidrec.doctor import framework
from vidrec.doctor.text import text


def main(arguments=None):
    """Runs one verb; returns the exit code."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _say_all_letters()
    if options.verb != "doctor":
        _say_what_is_set_wrong()
    with contextlib.suppress(ValueError):  # a scheduler's "stop" is as good as ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        again = " with --resume" if options.verb == "train" else ""
        print(
            f"\nInterrupted. What is done is kept: run the same command again{again}.",
            file=sys.stderr,
        )
        return 130
    except Exception as error:
        foreseen = (ValueError, OSError, ImportError, RuntimeError)
        if not isinstance(error, foreseen) or os.environ.get("VIDREC_TRACEBACK"):
            traceback.print_exc()
        print(f"vidrec {options.verb}: {error}", file=sys.stderr)
        # Not of our own, which say what to install and come with no name.
        if (isinstance(error, ImportError) and error.name) or _while_importing(error):
            told = "`vidrec doctor` says what is wrong on this machine, and what to type."
            print(told, file=sys.stderr)
        return 2


def _say_all_letters():
    """Makes output write \\u8df3 for a letter that it has not, and not stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's is none, and takes all
            stream.reconfigure(errors="backslashreplace")


def _say_what_is_set_wrong():
    """On stderr, what of the environment vidrec cannot work with; the doctor's, and instant."""
    for finding in (text(), *framework.keras(None)):
        if finding.level != "ok":
            print(finding.told(), file=sys.stderr)


def _while_importing(error):
    """Whether an error comes from a package that was being imported, and may be broken."""
    return any(frame.name == "<module>" for frame in traceback.extract_tb(error.__traceback__))


def parser():
    """The ArgumentParser of all verbs."""
    new = argparse.ArgumentParser(prog="vidrec", description=vidrec.__doc__)
    new.add_argument("--version", action="version", version=f"vidrec {vidrec.__version__}")
    verbs = new.add_subparsers(dest="verb", required=True, metavar="verb")
    for room in (doctor, data, extraction, runs, results, serving):
        room.add(verbs)
    return new
