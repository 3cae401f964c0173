"""The modules ``uwsgi`` and ``uwsgidecorators``, for applications that were written for uWSGI.

The server calls :func:`install` before it imports the application, if ``--uwsgi-module`` is given.
``docs/uwsgi-module.md`` says what each function does here.
"""

import sys
import time
from collections.abc import Iterable
from os import sysconf
from typing import Optional, Union

from scoter import hooks
from scoter._scoter import UwsgiServer

__all__ = ["install"]

# An option of uWSGI and its value; without one it is a flag.
Entry = tuple[str, Optional[str]]

# What ``uwsgi.opt`` has for an option.
Value = Union[bytes, bool, list[bytes]]


def install(
    *,
    server: UwsgiServer,
    opt: Iterable[Entry],
    given: Iterable[Entry],
    numproc: int,
    cores: int,
    masterpid: int,
    is_a_reload: bool,
) -> None:
    """Put the modules where an import finds them.

    ``opt`` is what the server does in uWSGI's words, ``given`` what ``--uwsgi-opt`` says.
    """
    from scoter.uwsgi_module import uwsgi, uwsgidecorators

    uwsgi.opt = merged(opt, given)
    uwsgi.numproc = numproc
    uwsgi.cores = cores
    uwsgi.has_threads = 1
    uwsgi._masterpid = masterpid
    uwsgi.is_a_reload = is_a_reload
    uwsgi._connect(server)
    uwsgi.started_on = _started_on(masterpid or "self")
    sys.modules["uwsgi"] = uwsgi
    sys.modules["uwsgidecorators"] = uwsgidecorators
    hooks.post_fork(uwsgi._run_post_fork_hook)
    hooks.on_worker_exit(uwsgi._run_atexit)


def merged(opt: Iterable[Entry], given: Iterable[Entry]) -> dict[str, Value]:
    """Return ``uwsgi.opt``.

    An entry that is given hides the server's own, but for what is true in any case. An option that
    is given several times has a list, as uWSGI means it to have: with Python 3 it keeps the last.
    """
    own = _collected(opt)
    found = _collected(given)
    always = {name: own[name] for name in ALWAYS if name in own}
    return {**own, **found, **always}


# Libraries look there whether threads run and whether there is a master, and an application sees
# how many threads there really are.
ALWAYS = ("enable-threads", "threads", "master", "py-call-osafterfork", "py-call-uwsgi-fork-hooks")


def _collected(entries: Iterable[Entry]) -> dict[str, Value]:
    collected: dict[str, Value] = {}
    for name, text in entries:
        if text is None:
            collected[name] = True
            continue
        # As the bytes of a file or of the command line: whatever is not UTF-8 comes back.
        value = text.encode("utf-8", "surrogateescape")
        before = collected.get(name)
        if isinstance(before, list):
            before.append(value)
        elif isinstance(before, bytes):
            collected[name] = [before, value]
        else:
            collected[name] = value
    return collected


def _started_on(pid: Union[int, str]) -> int:
    """Return when a process was started, in seconds since the epoch."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Field 22 (proc_pid_stat(5)); the second one, in parentheses, may contain blanks.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / sysconf("SC_CLK_TCK")
        return int(time.time() - age)
    except (OSError, ValueError, IndexError):
        return int(time.time())
