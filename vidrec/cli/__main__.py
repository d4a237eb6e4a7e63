"""`python -m vidrec.cli`, the same as `vidrec`."""

import sys

from vidrec.cli import main

if __name__ == "__main__":
    sys.exit(main())
