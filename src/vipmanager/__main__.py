"""Start of the program: `vipmanager`, or `python -m vipmanager`."""

import sys

from vipmanager.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
