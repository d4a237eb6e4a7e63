"""The same as `vidrec data prepare ucf_sports`: see `python preprocessing/prepare_ucf_sports.py --help`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "ucf_sports", *sys.argv[1:]]))
