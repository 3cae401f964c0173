"""The ``scoter`` command, also as ``python -m scoter``."""

import sys

from scoter._scoter import main as _main


def main() -> int:
    """Run the command line and return its exit code."""
    return _main(["scoter", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
