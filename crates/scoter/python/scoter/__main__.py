"""The ``scoter`` command, also as ``python -m scoter``."""

import sys

# Started by its path, as after an upgrade: the folder of a script comes first on the path,
# and this one holds nothing to import.
if not __package__ and not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)

from scoter._scoter import main as _main  # noqa: E402


def main() -> int:
    """Run the command line and return its exit code."""
    return _main(["scoter", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
