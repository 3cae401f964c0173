"""The ``scoter`` command, also as ``python -m scoter``."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    from scoter._scoter import main as run

    # By its name it knows whether it is called in place of uWSGI.
    return run(sys.argv)


# Not where multiprocessing runs it again.
if __name__ == "__main__":
    # Started by its path, as after an upgrade: see launcher.py.
    if not __package__:
        from os.path import abspath, dirname

        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path.pop(0)
        sys.path.insert(0, dirname(dirname(abspath(__file__))))
        import scoter._scoter  # noqa: F401

        sys.path.pop(0)
    sys.exit(main())
