"""Where vidrec runs, and how one types a command there."""

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path


def service():
    """ "Kaggle", "Colab" or None. Kaggle's machines are made from Colab's: it is asked first."""
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ or os.path.isdir("/kaggle/working"):
        return "Kaggle"
    if "COLAB_RELEASE_TAG" in os.environ or os.path.isdir("/content/sample_data"):
        return "Colab"
    return None


def pip(verb, *arguments):
    """The command that calls pip for this Python: a `pip` in PATH may be another's."""
    beside, found = Path(sys.executable).parent, shutil.which("pip")
    python = shlex.quote(sys.executable)
    if service() or (found and Path(found).parent == beside):
        program = f"pip {verb}"
    elif importlib.util.find_spec("pip") is None and shutil.which("uv"):
        program = f"uv pip {verb} --python {python}"
    else:
        program = f"{python} -m pip {verb}"
    return f"{program} {shlex.join(arguments)}"


def set_variable(name, value):
    """The command that sets an environment variable."""
    if service():
        return f"%env {name}={value}"
    if os.name == "nt":
        return f"set {name}={value}"
    return f"export {name}={shlex.quote(value)}"


def unset_variable(name):
    """The command that removes an environment variable."""
    if service():
        return f"import os; del os.environ[{name!r}]"
    return f"set {name}=" if os.name == "nt" else f"unset {name}"
