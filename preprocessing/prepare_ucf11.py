"""The same as `vidrec data prepare ucf11`, whose options `--help` lists."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "ucf11", *sys.argv[1:]]))
