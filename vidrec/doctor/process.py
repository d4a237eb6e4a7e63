"""Work that may crash, hang or take its time, beside all other work."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PROBES = Path(__file__).with_name("probes.py")


class Later:
    """A call that is under way. One that hangs keeps nobody from ending: its thread is a daemon."""

    def __init__(self, function, *arguments):
        self._call = function, arguments
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        function, arguments = self._call
        try:
            self._value, self._error = function(*arguments), None
        except BaseException as error:
            self._value, self._error = None, error

    def result(self, seconds):
        """What the call returns.

        Raises:
            TimeoutError: if it has not ended after `seconds`.
            Exception: what the call raises.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError(f"it took longer than {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._value


def probe(name, *arguments, seconds):
    """The facts of a probe, see `probes.py`; "error" says why there are none, "log" what it wrote.

    Args:
        name: str, which probe; arguments: str.
        seconds: float, after which it is ended.

    Returns:
        dict.
    """
    # -P: files beside probes.py, or in the user's folder, are not taken for packages.
    command = [sys.executable, "-P", PROBES, name, *arguments]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0", "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return {"error": f"its import took longer than {seconds:g} s", "log": ""}
    log = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        return {"error": f"its import ended Python ({_death(done.returncode)})", "log": log}
    return json.loads(done.stdout.splitlines()[-1]) | {"log": log}


def _death(code):
    return f"exit code {code}" if code > 0 else f"{signal.Signals(-code).name}"
