"""TensorFlow and Keras: versions, and the settings of Keras that vidrec counts on."""

import json
import os
import shlex
from pathlib import Path

from vidrec.doctor.finding import error, ok, one_line, warning
from vidrec.doctor.here import pip, service, set_variable, unset_variable
from vidrec.doctor.packages import fits, installed

SETTINGS = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}
LEGACY = "TF_USE_LEGACY_KERAS"


def tensorflow(facts, need):
    """Finding.

    Args:
        facts: those of the probe, see `probes.tensorflow`.
        need: packaging Requirement that vidrec has of tensorflow, or None.
    """
    wanted = str(need or "tensorflow")
    if "error" not in facts:
        if fits(need, facts["version"]):
            return ok("TensorFlow", facts["version"])
        text = f"{facts['version']}: vidrec needs {wanted}"
        return error("TensorFlow", text, pip("install", "--upgrade", wanted))
    reason = one_line(facts["error"])
    if "No module named 'tensorflow'" in reason:
        return error("TensorFlow", f"not installed ({reason})", pip("install", wanted))
    if "SIGILL" in reason:
        text = f"{reason}: it is built for processors with AVX, which this one has not"
        return error("TensorFlow", text, "Take another machine, such as one of Colab or Kaggle")
    if "took longer" in reason:
        return warning("TensorFlow", f"{reason}: is the disk slow?", "vidrec doctor")
    reset = "Runtime > Disconnect and delete runtime" if service() == "Colab" else None
    mend = reset or pip("install", "--force-reinstall", wanted)
    return error("TensorFlow", f"cannot be imported: {reason}", mend)


def keras(need):
    """Yields findings; `need`: packaging Requirement that vidrec has of keras, or None."""
    version, wanted = installed("keras"), str(need or "keras")
    settings, bad = _settings(), []
    for name, value in SETTINGS.items():
        found, source = settings.get(name, (value, None))
        if found != value:
            bad.append((f"{name} is {found} ({source})", _set(name, value, source)))
    if version is None:
        yield error("Keras", "not installed", pip("install", wanted))
    elif not fits(need, version):
        text = f"{version}: vidrec needs {wanted}"
        yield error("Keras", text, pip("install", "--upgrade", wanted))
    elif bad:
        expected = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
        text = f"{', '.join(text for text, _ in bad)}; vidrec needs {expected}"
        yield error("Keras", text, *dict.fromkeys(mend for _, mend in bad))
    else:
        yield ok("Keras", f"{version}, backend tensorflow")
    if os.environ.get(LEGACY, "").lower() in ("1", "true"):
        text = f"{LEGACY} makes tf.keras that of Keras 2; vidrec's models are of Keras 3"
        yield warning("Keras", text, unset_variable(LEGACY))


def home():
    """Keras' own folder, by the rule of its `backend/config.py`."""
    if "KERAS_HOME" in os.environ:
        return Path(os.path.expanduser(os.environ["KERAS_HOME"]))
    user = os.path.expanduser("~")  # which stays "~" for a user without a home
    return Path(user if os.access(user, os.W_OK) else "/tmp") / ".keras"


def _settings():
    """{setting: (value, where it is said)}."""
    path, found = home() / "keras.json", {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        found = {name: (said[name], path) for name in SETTINGS if name in said}
    except (OSError, ValueError):  # Keras goes on without it, too
        pass
    if os.environ.get("KERAS_BACKEND"):
        found["backend"] = os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
    return found


def _set(name, value, source):
    if name == "backend":
        return set_variable("KERAS_BACKEND", value)
    return f"rm {shlex.quote(str(source))}"  # Keras writes it anew, with the values that we need
