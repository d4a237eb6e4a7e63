"""The same as `vidrec data prepare kinetics400`, whose options `--help` lists."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "kinetics400", *sys.argv[1:]]))
