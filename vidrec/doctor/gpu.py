"""Whether TensorFlow sees a GPU; and if not, why not."""

import os
import platform
import re
import shutil
from pathlib import Path

from vidrec.doctor.finding import ok, one_line, warning
from vidrec.doctor.here import pip, service, unset_variable

VISIBLE = "CUDA_VISIBLE_DEVICES"
NVIDIA = "0x10de"
COMPLAINTS = re.compile(r"[^\n]*(?:dlopen|cuInit|driver version)[^\n]*")


def gpu(facts):
    """Finding; never an error: everything runs on a processor, slowly.

    Args:
        facts: those of the probe, see `probes.tensorflow`, with its "log".
    """
    if "error" in facts:
        return warning("GPU", "not known: TensorFlow cannot be imported")
    if facts["gpus"]:
        return ok("GPU", f"{len(facts['gpus'])}: {', '.join(facts['gpus'])}")
    reason, *mend = _why_none(facts)
    return warning("GPU", f"none, training takes long: {reason}", *mend)


def machine():
    """What the system knows of NVIDIA: card, driver, device (files to reach it), container."""
    return {
        "card": any(_is_nvidia(path) for path in Path("/sys/bus/pci/devices").glob("*")),
        "driver": os.path.exists("/proc/driver/nvidia/version") or bool(shutil.which("nvidia-smi")),
        "device": os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/dxg"),  # or WSL's
        "container": os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"),
    }


def _is_nvidia(path):
    try:
        display = (path / "class").read_text(encoding="utf-8").startswith("0x03")
        return display and (path / "vendor").read_text(encoding="utf-8").strip() == NVIDIA
    except OSError:
        return False


def _why_none(facts):
    """The reason, and lines that mend it."""
    visible = os.environ.get(VISIBLE)
    if visible is not None and (not visible.strip() or visible.strip().startswith("-1")):
        return f"{VISIBLE}={visible!r} hides them all", unset_variable(VISIBLE)
    found = machine()
    if service() and not found["device"]:
        where = {
            "Colab": "Runtime > Change runtime type > T4 GPU",
            "Kaggle": "Settings > Accelerator > GPU T4 x2",
        }
        return f"this machine of {service()} has none", where[service()]
    if not facts["cuda"] and (found["card"] or found["driver"] or platform.system() != "Linux"):
        return _not_for_gpus(facts)
    if found["driver"] and not found["device"] and found["container"]:
        return "this container was not given one", "docker run --gpus all ..."
    if found["driver"] and (found["device"] or found["card"]):
        return _libraries(facts)
    if found["card"]:
        mend = "Install NVIDIA's driver: on Ubuntu  sudo ubuntu-drivers install"
        return "there is an NVIDIA card, but no NVIDIA driver", mend
    mend = "Nothing to type. Colab and Kaggle lend GPUs free of charge"
    return "no NVIDIA card is found here", mend


def _not_for_gpus(facts):
    reason = "this TensorFlow is built without CUDA"
    if platform.system() == "Windows":
        return f"{reason}, as all are for Windows", "Use it in WSL2: wsl --install"
    if platform.system() == "Darwin":
        return f"{reason}, as all are for macOS", "Nothing to type. Colab and Kaggle lend GPUs"
    mend = pip("install", "--force-reinstall", f"tensorflow=={facts['version']}")
    return reason, pip("uninstall", "--yes", "tensorflow-cpu"), mend


def _libraries(facts):
    """There is a driver: what TensorFlow itself complains of."""
    said = COMPLAINTS.search(facts.get("log", ""))
    said = f" ({one_line(said[0])})" if said else ""
    if service():  # its own TensorFlow fits its driver; another one does not
        mend = "Take a fresh machine, and keep the TensorFlow that it has"
        return f"TensorFlow does not find CUDA's libraries{said}", mend
    mend = pip("install", f"tensorflow[and-cuda]=={facts['version']}")
    if "cuInit" in said or "driver version" in said:
        update = "If that shows no GPU: restart the machine, or update NVIDIA's driver"
        return f"NVIDIA's driver refuses{said}", "nvidia-smi", update
    return f"there is an NVIDIA card, but TensorFlow does not find CUDA's libraries{said}", mend
