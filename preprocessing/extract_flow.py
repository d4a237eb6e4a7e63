"""The same as `vidrec extract-flow`: see `python preprocessing/extract_flow.py --help`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract-flow", *sys.argv[1:]]))
