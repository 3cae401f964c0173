"""The module ``uwsgi``: what applications ask uWSGI, answered by this server.

It has what this server can do. Whatever it lacks (spooler, mules, caches, RPC, …) has no name here,
so that ``hasattr`` tells the truth. ``docs/uwsgi-module.md`` describes each function.
"""

import os as _os
import signal as _signal
import socket as _socket
import sys as _sys
import time as _time
import typing as _t

from scoter import worker_id as _worker_id

# The uWSGI whose functions these are: libraries compare it. The last part of `version_info`, which
# names whoever built uWSGI ("debian"), says who this is.
version: bytes = b"2.0.31"
version_info: tuple[int, int, int, int, bytes] = (2, 0, 31, 0, b"scoter")

# The server sets these before it imports the application.
opt: dict[str, _t.Union[bytes, bool, list[bytes]]] = {}
numproc: int = 1
cores: int = 1
has_threads: int = 1
started_on: int = int(_time.time())
is_a_reload: bool = False
_masterpid: int = 0

hostname: bytes = _socket.gethostname().encode()
# What a uwsgi packet can hold.
buffer_size: int = 65535
# There is no other than that of threads, and no application but the one that is served.
loop: None = None
unbit: None = None
applications: _t.Optional[dict[str, _t.Any]] = None


def worker_id() -> int:
    """Return the number of this worker, from 1; 0 in the process that preloads the application."""
    return _worker_id() or (0 if _masterpid else 1)


def masterpid() -> int:
    """Return the process id of the master; 0 without one."""
    return _masterpid


def mule_id() -> int:
    """Return 0: no process is a mule."""
    return 0


def i_am_the_spooler() -> None:
    """Return nothing: no process is a spooler."""


def reload() -> _t.Optional[bool]:
    """Reload the server, as ``scoter reload`` does; ``True`` once the master has been told."""
    return _tell_master(_signal.SIGHUP)


def stop() -> _t.Optional[bool]:
    """Stop the server, as ``scoter stop`` does; ``True`` once it has been told."""
    return _tell_master(_signal.SIGTERM)


def _tell_master(signum: int) -> _t.Optional[bool]:
    pid = _masterpid
    if not pid:
        if signum == _signal.SIGHUP:
            return None
        pid = _os.getpid()
    try:
        _os.kill(pid, signum)
    except OSError:
        return None
    return True


def log(message: str, /) -> bool:
    """Write a line to the error log."""
    if not isinstance(message, str):
        raise TypeError(f"log() argument 1 must be str, not {type(message).__name__}")
    _sys.stderr.write(message + "\n")
    _sys.stderr.flush()
    return True


def micros() -> int:
    """Return the time in microseconds since the epoch."""
    return _time.time_ns() // 1000


def mem() -> tuple[int, int]:
    """Return the resident and the virtual memory of this process, in bytes."""
    with open("/proc/self/statm", "rb") as file:
        pages = file.read().split()
    size = _os.sysconf("SC_PAGE_SIZE")
    return int(pages[1]) * size, int(pages[0]) * size


def ready() -> _t.Optional[bool]:
    """Return ``True`` in a worker, nothing in the process that preloads the application."""
    return True if _worker_id() else None


def accepting() -> None:
    """Do nothing: a worker accepts connections once it is ready."""


# What the application may set. Until then there is no such name, as in uWSGI.


def _run_post_fork_hook() -> None:
    hook = globals().get("post_fork_hook")
    if hook is not None:
        hook()


def _run_atexit() -> None:
    function = globals().get("atexit")
    if function is not None:
        function()
