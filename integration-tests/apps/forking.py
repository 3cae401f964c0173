"""Applications whose children come back to the server: by returning, or by an exception."""

import ctypes
import os
import signal
import subprocess
import sys
import threading

from probe import event, plain, wait_at

ENDINGS = {"returns": 0, "exits": 7, "says": 1, "raises": 1, "interrupts": -2}


def end(how):
    """Ends a child, which has something in its buffers."""
    print("printed by a child that", how)
    if how == "exits":
        sys.exit(7)
    if how == "says":
        sys.exit("last words")
    if how == "raises":
        raise ValueError("of a child")
    if how == "interrupts":
        raise KeyboardInterrupt


def fork(place, how):
    """Forks. Returns whether this is the child; the parent has reported how that ended."""
    pid = os.fork()
    if pid == 0:
        return True
    _, status = os.waitpid(pid, 0)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    event(f"{place} {how} {code}")
    return False


def fork_and_end(place, how):
    if fork(place, how):
        end(how)


def view(environ, start_response):
    fork_and_end("view", environ["QUERY_STRING"])
    return plain(start_response, str(os.getpid()))


def started(environ, start_response):
    """Both processes come back after the application has said how the response begins."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    fork_and_end("started", environ["QUERY_STRING"])
    return [str(os.getpid()).encode()]


def writes(environ, start_response):
    """Both processes write."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"before ")
    is_child = fork("writes", environ["QUERY_STRING"])
    write(b"child" if is_child else b"parent ")
    return [str(os.getpid()).encode()]


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first "
    fork_and_end("generator", environ["QUERY_STRING"])
    yield b"second "
    yield str(os.getpid()).encode()


def of_c(environ, start_response):
    """Forks behind Python's back, as C code does."""
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        end(environ["QUERY_STRING"])
        return plain(start_response, "child")
    event(f"of_c {os.WEXITSTATUS(os.waitpid(pid, 0)[1])}")
    return plain(start_response, str(os.getpid()))


class Result:
    """Forks wherever the server asks it something."""

    def __init__(self, place, how):
        self.place, self.how, self.chunks = place, how, [str(os.getpid()).encode()]

    def at(self, place):
        if place == self.place:
            fork_and_end(place, self.how)

    def __len__(self):
        self.at("len")
        return 1

    def __iter__(self):
        self.at("iter")
        return self

    def __next__(self):
        if not self.chunks:
            raise StopIteration
        return self.chunks.pop()

    def close(self):
        self.at("close")

    def __del__(self):
        # What it raises nobody sees: the child goes on, back to the server.
        self.at("del")


def result(environ, start_response):
    place, how = environ["QUERY_STRING"].split("&")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Result(place, how)


def thread(environ, start_response):
    """A thread of the application's own comes to its end, in both processes."""
    forked = threading.Thread(target=fork_and_end, args=("thread", environ["QUERY_STRING"]))
    forked.start()
    forked.join()
    return plain(start_response, str(os.getpid()))


def keeps(environ, start_response):
    """Leaves a child behind that comes back when it is let to."""
    pid = os.fork()
    if pid == 0:
        event(f"child {os.getpid()}")
        wait_at("child")
        event("child returns")
        return plain(start_response, "child")
    return plain(start_response, str(os.getpid()))


def signals():
    """Describes what signals do in this process: which are blocked, ignored and caught."""
    with open("/proc/self/status") as status:
        return " ".join(line.split()[1] for line in status if line.startswith(("SigBlk", "SigIgn", "SigCgt")))


def of_child(describe):
    """Returns what a child has to say."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, describe().encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        return pipe.read()


def forked_signals(environ, start_response):
    return plain(start_response, of_child(signals))


def handlers(environ, start_response):
    """Answers with what Python knows of the signals of a child."""
    names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"]
    return plain(
        start_response,
        of_child(lambda: " ".join(str(signal.getsignal(getattr(signal, name))) for name in names)),
    )


def executed_signals(environ, start_response):
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    lines = [line.split() for line in status.splitlines()]
    return plain(
        start_response, " ".join(line[1] for line in lines if line[0] in ("SigBlk:", "SigIgn:", "SigCgt:"))
    )


def who(environ, start_response):
    return plain(start_response, str(os.getpid()))


APPLICATIONS = {
    "/" + one.__name__: one
    for one in (
        view,
        started,
        writes,
        generator,
        of_c,
        result,
        thread,
        keeps,
        forked_signals,
        handlers,
        executed_signals,
        who,
    )
}


def application(environ, start_response):
    return APPLICATIONS[environ["PATH_INFO"]](environ, start_response)
