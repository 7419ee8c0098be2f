"""`python -m edgeasc`."""

import sys

from edgeasc.cli import main

if __name__ == "__main__":
    sys.exit(main())
