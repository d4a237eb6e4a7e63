"""The same as `vidrec data prepare ucf_sports`, whose options `--help` lists."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", "prepare", "ucf_sports", *sys.argv[1:]]))
