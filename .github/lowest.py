"""Prints the constraints that hold pip to the lowest versions that setup.cfg allows."""

import configparser
import re
from pathlib import Path

HEAD = """\
# The lowest version of each package in setup.cfg, for `pip install --constraint`. Made by
#     python .github/lowest.py > .github/lowest.txt
"""


def lowest(path):
    """The text of lowest.txt, from a setup.cfg."""
    settings = configparser.ConfigParser()
    settings.read(path)
    texts = [settings["options"]["install_requires"], *settings["options.extras_require"].values()]
    pins = re.findall(r"^([\w.-]+)>=([\w.]+)", "\n".join(texts), re.MULTILINE)
    if len(dict(pins)) < len(set(pins)):
        raise ValueError(f"{path} must give a package one lowest version. Received: {sorted(pins)}")
    lines = sorted({f"{name}=={version}\n" for name, version in pins}, key=str.casefold)
    return HEAD + "".join(lines)


if __name__ == "__main__":
    print(lowest(Path(__file__).parent.parent / "setup.cfg"), end="")
