"""A process that gets no thread any more: the limit of its user, or of its cgroup, is reached."""

import os
import resource
import time

from probe import FOLDER, by_path, event, plain

NOBODY = 65534


def stops_threads(environ, start_response):
    """From now on no thread can be started, and no process: RLIMIT_NPROC holds for everybody but root."""
    if os.getuid() == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    # Not with a thread of Python's: one that could not be started takes the exceptions that are meant for the thread
    # that tried it (CPython 3.11, _PyThreadState_Prealloc).
    try:
        if os.fork() == 0:
            os._exit(0)
    except BlockingIOError:
        return plain(start_response, "none")
    return plain(start_response, "forked")


def loops(environ, start_response):
    """Runs until it is ended."""
    event("loops")
    while True:
        time.sleep(0.01)


def stubborn(environ, start_response):
    """Runs on even then."""
    while True:
        try:
            loops(environ, start_response)
        except BaseException:
            event("swallowed")


def reads(environ, start_response):
    return plain(start_response, str(len(environ["wsgi.input"].read())))


def file(environ, start_response):
    """A file larger than what a connection takes at once."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(os.path.join(FOLDER, "file"), "rb"))


def quick(environ, start_response):
    return plain(start_response, "quick")


application = by_path(stops_threads, loops, stubborn, reads, file, quick)
