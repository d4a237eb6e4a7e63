"""`vidrec <verb>`: thin calls of `vidrec.experiment`. Heavy imports wait until they are needed.

Exit codes: 0 done; 1 done, but some videos are not whole; 2 not done, the message says why;
130 interrupted, run again to go on.
"""

import argparse
import contextlib
import os
import signal
import sys
import traceback

import vidrec
from vidrec.cli import data, extraction, results, runs, serving


def main(arguments=None):
    """Runs one verb; returns the exit code."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
        return 2


def parser():
    """The ArgumentParser of all verbs."""
    new = argparse.ArgumentParser(prog="vidrec", description=vidrec.__doc__)
    new.add_argument("--version", action="version", version=f"vidrec {vidrec.__version__}")
    verbs = new.add_subparsers(dest="verb", required=True, metavar="verb")
    for room in (data, extraction, runs, results, serving):
        room.add(verbs)
    return new
