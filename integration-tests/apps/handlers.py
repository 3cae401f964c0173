"""Handlers of signals that the application installs itself: which one `HANDLER` says, when `INSTALL`."""

import os
import signal
import sys
import threading

from probe import by_path, event, plain, wait_at

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP]
BEFORE = {number: signal.getsignal(number) for number in SIGNALS}


def returns(number, frame):
    event("handler")


def exits(number, frame):
    event("handler")
    sys.exit(3)


def raises(number, frame):
    event("handler")
    raise RuntimeError("within the handler")


def ends(number, frame):
    """Does its part, and then what the signal would have done."""
    event("handler")
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def chains(number, frame):
    """Does its part, and then what the handler before does, as ddtrace has it."""
    event("handler")
    before = BEFORE[number]
    if callable(before):
        before(number, frame)
    elif before == signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def handler():
    name = os.environ["HANDLER"]
    return getattr(signal, name) if name.startswith("SIG_") else globals()[name]


def install(environ=None, start_response=None):
    for number in SIGNALS:
        before = signal.getsignal(number)
        assert signal.signal(number, handler()) is before, "as Python's own"
        assert signal.getsignal(number) is handler(), "as Python's own"
    return plain(start_response, "installed") if start_response else None


def waits(environ, start_response):
    event("begun")
    wait_at(environ["QUERY_STRING"])
    return plain(start_response, "waited at " + environ["QUERY_STRING"])


def inherits(environ, start_response):
    """Ends a child with the signal, and says how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, lambda number, frame: os._exit(99))
        signal.alarm(20)
        try:
            os.write(writing, b".")
            while True:
                signal.pause()
        except SystemExit as end:
            os._exit(end.code)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    os.kill(child, signal.SIGTERM)
    return plain(start_response, str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def refuses(environ, start_response):
    """Answers how many mistakes are refused for a signal of the server's as for any other one."""

    def refusal(number, handler):
        try:
            signal.signal(number, handler)
        except (TypeError, ValueError) as error:
            return repr(error)

    def compare(handler):
        theirs = refusal(signal.SIGALRM, handler)
        same.append(theirs is not None and refusal(signal.SIGTERM, handler) == theirs)

    same = []
    for mistake in "text", None, 2:
        compare(mistake)
    thread = threading.Thread(target=compare, args=(returns,))
    thread.start()
    thread.join()
    return plain(start_response, str(same.count(True)))


if os.environ["INSTALL"] == "import":
    install()

application = by_path(install, waits, inherits, refuses)
