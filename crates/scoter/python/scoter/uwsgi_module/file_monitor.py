"""Files that are watched."""

import os

# What is compared: the time of the last change, the size, and the file itself.
State = tuple[int, int, int]


class FileMonitor:
    """Raises a signal when a file changes, or anything directly in a directory."""

    def __init__(self, signum: int, path: str) -> None:
        self.signum = signum
        self.path = path
        self.seen = self._state()

    def look(self) -> bool:
        """Return whether something has changed since the last look."""
        state = self._state()
        has_changed = state != self.seen
        self.seen = state
        return has_changed

    def _state(self) -> dict[str, State]:
        found = {}
        try:
            found[""] = _state_of(os.stat(self.path))
            if os.path.isdir(self.path):
                with os.scandir(self.path) as entries:
                    for entry in entries:
                        try:
                            found[entry.name] = _state_of(entry.stat())
                        except OSError:
                            # Gone meanwhile.
                            continue
        except OSError:
            # It may come later.
            pass
        return found


def _state_of(stat: os.stat_result) -> State:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
