"""The ``scoter`` command, also as ``python -m scoter``."""

import sys

# Started by its path, as after an upgrade: the folder of a script comes first on the path,
# and this one holds nothing to import. Not where multiprocessing runs it again.
if __name__ == "__main__" and not __package__ and not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)


def main() -> int:
    """Run the command line and return its exit code."""
    from scoter._scoter import main as run

    return run(["scoter", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
