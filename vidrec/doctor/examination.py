"""All checks, beside each other; their findings one after the other."""

import time
from pathlib import Path

import vidrec
from vidrec.doctor import compiler, disk, framework, gpu, opencv, packages, text, weights
from vidrec.doctor.finding import Finding, one_line, warning
from vidrec.doctor.process import Later, probe

IMPORT = 60  # s that the import of a package may take: a network disk is slow the first time
LIMIT = 5  # s that anything else may take
SOURCE = Path(vidrec.__file__).with_name("extraction") / "tvl1.py"  # what numba compiles


def examine(folders):
    """Yields a Finding for each line that is to be told, as soon as it is known.

    Args:
        folders: paths where data and runs will be.
    """
    cv2 = Later(lambda: probe("opencv", seconds=IMPORT))
    numba = Later(lambda: probe("numba", str(SOURCE), seconds=IMPORT))
    tensorflow = Later(lambda: probe("tensorflow", seconds=IMPORT))
    needs = packages.wanted()
    contrib = needs.get(opencv.WINDOWS)

    def of_opencv():
        facts, works = cv2.result(IMPORT + 1), "error" not in numba.result(IMPORT + 1)
        return opencv.opencv(facts, contrib, numba=works)

    def of_numba():
        return compiler.numba(numba.result(IMPORT + 1), needs.get("numba"))

    def of_tensorflow():
        return framework.tensorflow(tensorflow.result(IMPORT + 1), needs.get("tensorflow"))

    checks = {
        "Python": (packages.python, LIMIT),
        "text": (text.text, LIMIT),
        "packages": (packages.packages, LIMIT),
        "TensorBoard": (packages.tensorboard, LIMIT),
        "Keras": (lambda: framework.keras(needs.get("keras")), LIMIT),
        "disk": (lambda: disk.spaces(folders), LIMIT),
        "write speed": (lambda: disk.speeds(folders), LIMIT),
        "weights": (weights.weights, 2 * weights.SECONDS),
        "OpenCV": (of_opencv, IMPORT + 2),
        "numba": (of_numba, IMPORT + 2),
        "TensorFlow": (of_tensorflow, IMPORT + 2),
        "GPU": (lambda: gpu.gpu(tensorflow.result(IMPORT + 1)), IMPORT + 2),
    }
    yield from findings(checks)


def findings(checks):
    """Runs checks beside each other; what one of them cannot do becomes a line as well.

    Args:
        checks: {name: (function, s that it may take)}; a function returns a Finding or yields some.

    Yields:
        Finding, in the order of the checks.
    """
    began = time.monotonic()
    running = {name: (Later(_all, check), seconds) for name, (check, seconds) in checks.items()}
    for name, (later, seconds) in running.items():
        left = max(0.0, began + seconds - time.monotonic())
        try:
            yield from later.result(left)
        except TimeoutError:
            yield warning(name, f"not known: the check took longer than {seconds:g} s")
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            yield warning(name, f"not known: the check failed with {reason}")


def _all(check):
    found = check()
    return [found] if isinstance(found, Finding) else list(found)


def verdict(found):
    """The last line, and the exit code: 1 if something stops vidrec, else 0."""
    errors = list(dict.fromkeys(each.name for each in found if each.level == "error"))
    if errors:
        again = "type what stands below, then `vidrec doctor` again"
        return f"vidrec is stopped by {', '.join(errors)}: {again}.", 1
    return "Nothing stops vidrec here.", 0
