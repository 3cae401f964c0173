"""The module ``uwsgidecorators``, whose original comes with uWSGI."""

from threading import Thread
from typing import Any, Callable, NoReturn, Optional, TypeVar, Union

from scoter.uwsgi_module import uwsgi

__all__ = ["cron", "filemon", "harakiri", "lock", "postfork", "rbtimer", "signal", "thread", "timer"]

Function = TypeVar("Function", bound=Callable[..., Any])

postfork_chain: list["postfork"] = []


def get_free_signal() -> int:
    """Return the first signal that has no handler."""
    for signum in range(256):
        if not uwsgi.signal_registered(signum):
            return signum
    raise Exception("No free uwsgi signal available")


def postfork_chain_hook() -> None:
    """Run what ``postfork`` has collected."""
    for function in postfork_chain:
        function()


setattr(uwsgi, "post_fork_hook", postfork_chain_hook)


class postfork:
    """Run a function in every worker before its first request, or with a number only in that one."""

    def __init__(self, f: Union[Callable[[], Any], int]) -> None:
        self.wid = 0
        self.f: Optional[Callable[..., Any]] = None
        if callable(f):
            self.f = f
        else:
            self.wid = f
        postfork_chain.append(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.f is None:
            self.f = args[0]
            return None
        if self.wid > 0 and self.wid != uwsgi.worker_id():
            return None
        return self.f()


class signal:
    """Call a function when a signal is raised."""

    def __init__(self, num: int, *, target: str = "") -> None:
        self.num = num
        self.target = target

    def __call__(self, f: Function) -> Function:
        uwsgi.register_signal(self.num, self.target, f)
        return f


class _Triggered:
    """A function that is called for a signal of its own."""

    def __init__(self, signum: Optional[int], target: str) -> None:
        self.num = get_free_signal() if signum is None else signum
        self.target = target

    def __call__(self, f: Function) -> Function:
        uwsgi.register_signal(self.num, self.target, f)
        self.add()
        return f

    def add(self) -> None:
        """Say when the signal is raised."""
        raise NotImplementedError


class timer(_Triggered):
    """Call a function every so many seconds."""

    def __init__(self, secs: int, *, signum: Optional[int] = None, target: str = "") -> None:
        super().__init__(signum, target)
        self.secs = secs

    def add(self) -> None:
        uwsgi.add_timer(self.num, self.secs)


class rbtimer(timer):
    """Call a function every so many seconds."""

    def add(self) -> None:
        uwsgi.add_rb_timer(self.num, self.secs)


class cron(_Triggered):
    """Call a function in the minutes that match: -1 is any value, -N every N-th."""

    def __init__(
        self,
        minute: int,
        hour: int,
        day: int,
        month: int,
        dayweek: int,
        *,
        signum: Optional[int] = None,
        target: str = "",
    ) -> None:
        super().__init__(signum, target)
        self.fields = (minute, hour, day, month, dayweek)

    def add(self) -> None:
        uwsgi.add_cron(self.num, *self.fields)


class filemon(_Triggered):
    """Call a function when a file changes, or anything directly in a directory."""

    def __init__(self, fsobj: str, *, signum: Optional[int] = None, target: str = "") -> None:
        super().__init__(signum, target)
        self.fsobj = fsobj

    def add(self) -> None:
        uwsgi.add_file_monitor(self.num, self.fsobj)


class lock:
    """Let one thread of all workers run a function at a time."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        uwsgi.lock()
        try:
            return self.f(*args, **kwargs)
        finally:
            uwsgi.unlock()


class harakiri:
    """Limit the time of a request, while a function runs."""

    def __init__(self, seconds: int) -> None:
        self.s = seconds

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        def limited(*args: Any, **kwargs: Any) -> Any:
            uwsgi.set_user_harakiri(self.s)
            result = f(*args, **kwargs)
            uwsgi.set_user_harakiri(0)
            return result

        return limited


class thread:
    """Have each call of a function run in a thread of its own."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Callable[..., Any]:
        worker = Thread(target=self.f, args=args, daemon=True)
        worker.start()
        return self.f


def _missing(name: str, substitute: str) -> Callable[..., NoReturn]:
    """Make what stands for a decorator that needs a part of uWSGI which is not there."""

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise Exception(f"uwsgidecorators.{name} is not there: {substitute} (docs/uwsgi-module.md)")

    missing.__name__ = name
    return missing


_QUEUE = "there is no spooler; use a task queue such as Celery, RQ or Huey, or uwsgidecorators.thread"
_SERVICE = "there are no mules; run it as a service of its own, or as a uwsgidecorators.timer"
_CALL = "there is no RPC between servers; use HTTP or a message broker"

# Importing them is no mistake, using them is: uWSGI's own raise an exception without a spooler.
spool = _missing("spool", _QUEUE)
spoolraw = _missing("spoolraw", _QUEUE)
spoolforever = _missing("spoolforever", _QUEUE)
mulefunc = _missing("mulefunc", _QUEUE)
mule = _missing("mule", _SERVICE)
muleloop = _missing("muleloop", _SERVICE)
mulemsg = _missing("mulemsg", _SERVICE)
farm = _missing("farm", _SERVICE)
rpc = _missing("rpc", _CALL)
erlang = _missing("erlang", _CALL)
