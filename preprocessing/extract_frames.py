"""The same as `vidrec extract-frames`: see `python preprocessing/extract_frames.py --help`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract-frames", *sys.argv[1:]]))
