"""Signals and timers of ``uwsgi``: a thread in each worker handles the signals for that worker.

One worker is elected. Its thread also handles the signals for any worker, and watches the clock and
the files for all of them. When it ends, or dies, another worker is elected: the kernel frees the
mutex that the thread holds. The handlers of a worker run one after another.
"""

import _thread
import sys
import time
import traceback
from typing import Any, Callable, Optional

from scoter._scoter import UwsgiServer
from scoter.uwsgi_module.cron import Cron
from scoter.uwsgi_module.file_monitor import FileMonitor
from scoter.uwsgi_module.timer import Timer

Handler = Callable[[int], Any]

# How often a worker tries to be elected: so long timers may stand still if an elected one is killed. One
# that ends wakes the others.
ELECTION_INTERVAL = 1.0

# How often the files of monitors are looked at.
LOOK_INTERVAL = 1.0

# Taken before the application is imported: gevent replaces it.
_start_thread = _thread.start_new_thread


class Signals:
    """The signals, timers and monitors that the application has registered in this process."""

    def __init__(self, server: UwsgiServer) -> None:
        self.server = server
        self.handlers: dict[int, tuple[str, Handler]] = {}
        self.timers: list[Timer] = []
        self.crons: list[Cron] = []
        self.monitors: list[FileMonitor] = []
        self.serves = False
        self.thread: Optional[_thread.LockType] = None

    def register(self, signum: int, target: str, handler: Handler) -> None:
        """Have a signal handled by ``handler`` in the workers that ``target`` names."""
        if not callable(handler):
            raise TypeError(f"the handler of signal {signum} is {type(handler).__name__}, which cannot be called")
        if _worker_of(target) is None and target not in ALL + ANY:
            raise ValueError(
                f"signal {signum} has the target {target!r}: expected one of "
                f"{', '.join(map(repr, ALL + ANY))} and 'workerN'"
            )
        self.handlers[signum] = (target, handler)
        self.start()

    def add_timer(self, timer: Timer) -> None:
        """Raise a signal again and again."""
        self.timers.append(timer)
        self.start()

    def add_cron(self, cron: Cron) -> None:
        """Raise a signal in the minutes that match."""
        self.crons.append(cron)
        self.start()

    def add_monitor(self, monitor: FileMonitor) -> None:
        """Raise a signal when a file changes."""
        self.monitors.append(monitor)
        self.start()

    def raise_signal(self, signum: int) -> None:
        """Raise a signal in the workers that its target names."""
        target = self.handlers.get(signum, ("", None))[0]
        worker = _worker_of(target)
        if target in ALL:
            self.server.raise_in_all(signum)
        elif worker is not None:
            self.server.raise_in(worker, signum)
        else:
            self.server.raise_elected(signum)

    def serve(self) -> None:
        """Begin to handle signals: the process is a worker, and all its hooks have run."""
        self.serves = True
        self.start()

    def start(self) -> None:
        """Start the thread, if there is something for it to do."""
        if self.serves and self.thread is None and (self.handlers or self.timers or self.crons or self.monitors):
            self.thread = _thread.allocate_lock()
            self.thread.acquire()
            _start_thread(self._run, (self.thread,))

    def finish(self) -> None:
        """Wait for the handler that runs, if there is one. The server has told the thread to end."""
        if self.thread is not None:
            with self.thread:
                pass

    def _run(self, running: _thread.LockType) -> None:
        server = self.server
        is_elected = False
        try:
            while not server.is_ending():
                bell = server.bell()
                if not is_elected and server.elect():
                    is_elected = True
                    self._begin_watch()
                self._handle(server.take_own())
                pause = ELECTION_INTERVAL
                if is_elected:
                    self._handle(server.take_elected())
                    pause = self._watch()
                server.wait(bell, pause)
        finally:
            if is_elected:
                server.resign()
            running.release()

    def _handle(self, signals: list[tuple[int, int]]) -> None:
        for signum, count in signals:
            for _ in range(count):
                # The others of a signal that was raised before the end are the next one's.
                if self.server.is_ending():
                    self._give_back(signum)
                else:
                    self._call(signum)

    def _give_back(self, signum: int) -> None:
        if self.handlers.get(signum, ("",))[0] in ANY:
            self.server.raise_elected(signum)

    def _call(self, signum: int) -> None:
        target, handler = self.handlers.get(signum, ("", None))
        if handler is None:
            sys.stderr.write(f"signal {signum} was raised, and has no handler in this worker\n")
            return
        try:
            handler(signum)
        except BaseException:
            name = getattr(handler, "__qualname__", repr(handler))
            sys.stderr.write(f"the handler of signal {signum}, {name}, has failed:\n{traceback.format_exc()}")
        self.server.count_signal()

    def _begin_watch(self) -> None:
        now = time.monotonic_ns()
        for timer in self.timers:
            timer.resume(self.server.timer(timer.signum), now)
        for monitor in self.monitors:
            monitor.look()

    def _watch(self) -> float:
        """Raise what is due, and return how long the next look may wait."""
        pause = 60.0
        for timer in list(self.timers):
            now = time.monotonic_ns()
            if timer.next is None:
                timer.resume(0, now)
            if timer.is_due(now):
                # First, so that nobody does it again if this process dies.
                self.server.set_timer(timer.signum, timer.advance(now))
                self._raise_here(timer.signum)
                if timer.is_over():
                    self.timers.remove(timer)
                    continue
            pause = min(pause, timer.seconds_left(time.monotonic_ns()))
        for cron in self.crons:
            minute = int(time.time()) // 60
            if self.server.cron(cron.signum) != minute and cron.matches(time.localtime()):
                self.server.set_cron(cron.signum, minute)
                self._raise_here(cron.signum)
            pause = min(pause, 60 - time.time() % 60)
        for monitor in self.monitors:
            if monitor.look():
                self._raise_here(monitor.signum)
            pause = min(pause, LOOK_INTERVAL)
        return max(pause, 0.0)

    def _raise_here(self, signum: int) -> None:
        """Raise a signal. One that is for any worker is handled at once."""
        if self.server.is_ending():
            return
        if self.handlers.get(signum, ("",))[0] in ANY:
            self._call(signum)
        else:
            self.raise_signal(signum)


# Targets for which one worker handles a signal. Mules and the spooler are not there: the elected worker's
# thread, which serves no requests, does what they did.
ANY = ("", "worker", "worker0", "mule", "mules", "mule0", "spooler")
# Targets for which every worker does.
ALL = ("workers", "active-workers")


def _worker_of(target: str) -> Optional[int]:
    """Return N of ``workerN``; ``None`` for other targets."""
    number = target[len("worker") :] if target.startswith("worker") else ""
    return int(number) if number.isdecimal() and int(number) > 0 else None
