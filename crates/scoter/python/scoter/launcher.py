"""Where the master starts a launcher: by this file's path, with the interpreter it runs on."""

import sys

# Not where multiprocessing runs it again, as it does the main file of whoever starts a process
# by spawn or forkserver: there `sys.path` is the worker's.
if __name__ == "__main__":
    from os.path import abspath, dirname

    # Python puts the folder of a script first on the path, unless it is told not to; this one
    # holds nothing to import. The package is found where this file is: a script may have found
    # it for the master on a path of its own, of which the launcher is told later.
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path.pop(0)
    sys.path.insert(0, dirname(dirname(abspath(__file__))))
    from scoter._scoter import launch

    sys.path.pop(0)
    # The name of the server, which is there for `ps`.
    del sys.argv[1:]
    sys.exit(launch())
