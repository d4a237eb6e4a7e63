"""The same as `vidrec data prepare hmdb51`: see `python preprocessing/prepare_hmdb51.py --help`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "hmdb51", *sys.argv[1:]]))
