"""Where the master starts a launcher: by this file's path, with the interpreter it runs on."""

import sys

# The folder of a script comes first on the path; this one holds nothing to import.
if not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)

from scoter._scoter import launch  # noqa: E402

if __name__ == "__main__":
    sys.exit(launch())
