"""The same as `vidrec data prepare ucf11`: see `python preprocessing/prepare_ucf11.py --help`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "ucf11", *sys.argv[1:]]))
