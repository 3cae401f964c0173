"""Where the master starts a launcher: by this file's path, with the interpreter it runs on."""

import sys

# Not where multiprocessing runs it again, as it does the main file of whoever starts a process
# by spawn or forkserver: there `sys.path` is the worker's.
if __name__ == "__main__":
    # The folder of a script comes first on the path; this one holds nothing to import.
    if not getattr(sys.flags, "safe_path", False):
        sys.path.pop(0)

    from scoter._scoter import launch

    sys.exit(launch())
