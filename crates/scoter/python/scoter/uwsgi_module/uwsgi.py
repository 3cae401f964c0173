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
from operator import index as _index

from scoter import worker_id as _worker_id
from scoter._scoter import UwsgiServer as _UwsgiServer
from scoter.uwsgi_module.cron import Cron as _Cron
from scoter.uwsgi_module.file_monitor import FileMonitor as _FileMonitor
from scoter.uwsgi_module.signals import Signals as _Signals
from scoter.uwsgi_module.timer import Timer as _Timer

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
    return _memory_of("self")


def _memory_of(process: _t.Union[int, str]) -> tuple[int, int]:
    with open(f"/proc/{process}/statm", "rb") as file:
        pages = file.read().split()
    size = _os.sysconf("SC_PAGE_SIZE")
    return int(pages[1]) * size, int(pages[0]) * size


def ready() -> _t.Optional[bool]:
    """Return ``True`` in a worker, nothing in the process that preloads the application."""
    return True if _worker_id() else None


def accepting() -> None:
    """Do nothing: a worker accepts connections once it is ready."""


def setprocname(name: str, /) -> None:
    """Set the name that ``ps -o comm`` shows; it holds 15 bytes."""
    with open(f"/proc/self/task/{_os.getpid()}/comm", "wb") as file:
        file.write(_text(name).encode()[:15])


def lock(number: int = 0, /) -> None:
    """Take a lock that all workers share, and wait for it."""
    # A timeout of the request is noticed between two tries.
    while not _server.lock(_lock_number(number), 1.0):
        pass


def unlock(number: int = 0, /) -> None:
    """Free a lock. Without an effect in a thread that does not hold it."""
    _server.unlock(_lock_number(number))


def is_locked(number: int = 0, /) -> bool:
    """Return whether a thread of any worker holds a lock."""
    return _server.is_locked(_lock_number(number))


def _lock_number(number: int) -> int:
    number = _index(number)
    if not 0 <= number < _UwsgiServer.LOCKS:
        raise ValueError("Invalid lock number")
    return number


def request_id() -> int:
    """Return how many requests this worker has finished."""
    return _server.requests()


def total_requests() -> int:
    """Return how many requests all workers have finished."""
    return _server.total_requests()


def workers() -> tuple[dict[str, _t.Any], ...]:
    """Return what each worker that serves tells of itself."""
    return tuple(_worker(row) for row in _server.workers())


def _worker(row: dict[str, _t.Any]) -> dict[str, _t.Any]:
    row["status"] = b"busy" if row.pop("is_busy") else b"idle"
    try:
        row["rss"], row["vsz"] = _memory_of(row["pid"])
    except OSError:
        # It has just ended, or /proc hides it.
        row["rss"] = row["vsz"] = 0
    app = {
        "id": 0,
        "modifier1": 0,
        "mountpoint": b"",
        "startup_time": 0,
        "requests": row["delta_requests"],
        "exceptions": row["exceptions"],
        "chdir": b"",
    }
    row["apps"] = (app,)
    return row


def set_logvar(name: _t.Union[str, bytes], value: _t.Union[str, bytes], /) -> None:
    """Set a variable of this request's line in the access log: ``$logvar_NAME``."""
    _server.set_logvar(_bytes(name), _bytes(value))


def get_logvar(name: _t.Union[str, bytes], /) -> _t.Optional[bytes]:
    """Return what ``set_logvar`` has set in this request, or nothing."""
    return _server.get_logvar(_bytes(name))


def _bytes(text: _t.Union[str, bytes]) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, bytes):
        return text
    raise TypeError(f"a bytes-like object is required, not {type(text).__name__!r}")


def log_this_request() -> None:
    """Write this request's line, whatever ``--access-log-skip`` and ``--access-log-sample`` say."""
    _server.log_this_request()


def disconnect() -> None:
    """Tell the client that the response is complete. What is sent after that is dropped."""
    _server.disconnect()


def set_user_harakiri(seconds: int, /) -> None:
    """Have this request time out so many seconds from now; 0 cancels that."""
    _server.limit_request(max(_index(seconds), 0))


def register_signal(signum: int, target: str, handler: _t.Callable[[int], _t.Any], /) -> None:
    """Have ``handler`` called when a signal is raised, in the workers that ``target`` names."""
    _signals.register(_signum(signum), target, handler)


def signal_registered(signum: int, /) -> _t.Optional[bool]:
    """Return ``True`` if a signal has a handler in this worker, else nothing."""
    return True if _signum(signum) in _signals.handlers else None


def signal(signum: int, /) -> None:
    """Raise a signal."""
    _signals.raise_signal(_signum(signum))


def add_timer(signum: int, seconds: int, /) -> None:
    """Raise a signal every so many seconds."""
    _signals.add_timer(_Timer(_signum(signum), _seconds(seconds)))


def add_rb_timer(signum: int, seconds: int, iterations: int = 0, /) -> None:
    """Raise a signal every so many seconds, so many times, or for ever."""
    _signals.add_timer(_Timer(_signum(signum), _seconds(seconds), _index(iterations)))


def add_cron(signum: int, minute: int, hour: int, day: int, month: int, week: int, /) -> None:
    """Raise a signal in the minutes that match: -1 is any value, -N every N-th."""
    fields = (_index(field) for field in (minute, hour, day, month, week))
    _signals.add_cron(_Cron(_signum(signum), *fields))


def add_file_monitor(signum: int, path: str, /) -> None:
    """Raise a signal when a file changes, or anything directly in a directory."""
    _signals.add_monitor(_FileMonitor(_signum(signum), _text(path)))


def _signum(signum: int) -> int:
    signum = _index(signum)
    if not 0 <= signum <= 255:
        raise ValueError(f"there is no signal {signum}: uWSGI's signals are numbered from 0 to 255")
    return signum


def _seconds(seconds: int) -> int:
    seconds = _index(seconds)
    if seconds < 1:
        raise ValueError(f"a timer of {seconds} seconds never ends: expected at least 1")
    return seconds


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"expected str, not {type(text).__name__}")
    return text


_server: _UwsgiServer
_signals: _Signals


def _connect(server: _UwsgiServer) -> None:
    global _server, _signals
    _server = server
    _signals = _Signals(server)


# What the application may set. Until then there is no such name, as in uWSGI.


def _run_post_fork_hook() -> None:
    hook = globals().get("post_fork_hook")
    if hook is not None:
        hook()
    _signals.serve()


def _run_atexit() -> None:
    _signals.finish()
    function = globals().get("atexit")
    if function is not None:
        function()
