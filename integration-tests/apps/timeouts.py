"""Applications that take too long, each in its own way. Reports begin with the name of the application."""

import ctypes
import os
import sys
import threading
import time
from functools import partial

from probe import Closing, by_path, event, gate, plain, wait_at

HEADERS = [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")]

timed_pipe = os.pipe()

# Whether the state of a new thread has the identifier of the thread that creates it until the kernel runs the new one.
ALIASED = sys.version_info < (3, 12)


def thread_creation(result):
    """Returns the first step of `_thread.start_new_thread`. No test can keep the kernel from the second, so none follows."""
    interpreter = ctypes.pythonapi["PyInterpreterState_Get"]
    interpreter.restype = ctypes.c_void_p
    create = ctypes.pythonapi["_PyThreadState_Prealloc" if ALIASED else "PyInterpreterState_Get"]
    create.restype = result
    return partial(create, ctypes.c_void_p(interpreter())) if ALIASED else create


def sleeps(environ, start_response):
    """A call that nothing but its end brings back."""
    event("sleeps")
    time.sleep(3600)


def loops(environ, start_response):
    """Python code without an end."""
    event("loops")
    try:
        while True:
            pass
    except BaseException as error:
        event(f"loops: {type(error).__module__}.{type(error).__name__}")
        raise


def starts_a_thread(environ, start_response):
    """Python code without an end, while a thread that it has started does not get to run until the test lets it."""
    state = ctypes.c_void_p(thread_creation(ctypes.c_void_p)())

    def run():
        wait_at("thread")
        if ALIASED:
            ctypes.pythonapi.PyThreadState_Clear(state)
            ctypes.pythonapi.PyThreadState_Delete(state)

    threading.Thread(target=run).start()
    event("starts_a_thread")
    while True:
        pass


def careless(environ, start_response):
    """The same, with a handler for whatever goes wrong."""
    while True:
        try:
            while True:
                pass
        except Exception:
            event("careless: swallowed")


def stubborn(environ, start_response):
    """Swallows even what is no Exception."""
    while True:
        try:
            event("stubborn")
            while True:
                pass
        except BaseException:
            event("stubborn: swallowed")


def keeps_the_gil(environ, start_response):
    """C code that lets no other thread run Python."""
    event("keeps_the_gil")
    ctypes.PyDLL(None).sleep(3600)


def streams(environ, start_response):
    """Begins to answer, then runs on and on."""

    def chunks():
        yield b"first\n"
        event("streams")
        while True:
            pass

    start_response("200 OK", [*HEADERS, ("Content-Length", "1000")])
    return Closing(chunks(), "streams: closed")


def finishes(environ, start_response):
    """Begins to answer, and has the rest at hand however late it is."""
    write = start_response("200 OK", HEADERS)
    write(b"first\n")
    event("finishes")
    try:
        while True:
            pass
    except BaseException:
        return [b"rest"]


def ends_in_c(environ, start_response):
    """Its last code in Python is run before the time is over: the exception comes too late."""
    start_response("200 OK", HEADERS)
    pipe = os.open(gate("c").name, os.O_RDONLY)
    event("ends_in_c")
    return map(os.read, [pipe], [1])


def ends_in_c_with_a_thread(environ, start_response):
    """The same, and the last that its C code does is to begin to start a thread."""
    start_response("200 OK", HEADERS)
    pipe = os.open(gate("c").name, os.O_RDONLY)
    event("ends_in_c_with_a_thread")
    steps = [partial(os.readv, pipe, [bytearray(1)]), thread_creation(ctypes.c_ubyte)]
    return map(bytes, [map(partial.__call__, steps)])


def timed_in_c(environ, start_response):
    """The same, but it ends by itself, as many milliseconds after it began as the query says."""
    start_response("200 OK", HEADERS)
    ours, theirs = timed_pipe
    threading.Timer(float(environ["QUERY_STRING"]) / 1000, os.write, [theirs, b"."]).start()
    return map(os.read, [ours], [1])


def spins(environ, start_response):
    """Runs Python for as many milliseconds as the query says."""
    end = time.monotonic() + float(environ["QUERY_STRING"]) / 1000
    while time.monotonic() < end:
        pass
    return plain(start_response, "spun")


def reads(environ, start_response):
    """Waits for a body that does not come."""
    return plain(start_response, environ["wsgi.input"].read())


def waits(environ, start_response):
    event("waits " + environ["QUERY_STRING"])
    wait_at(environ["QUERY_STRING"])
    return plain(start_response, "waited")


def quick(environ, start_response):
    return plain(start_response, "quick")


def deep(environ, start_response, depth=300):
    return deep(environ, start_response, depth - 1) if depth else loops(environ, start_response)


application = by_path(
    *[sleeps, loops, starts_a_thread, careless, stubborn, keeps_the_gil, streams, finishes, ends_in_c],
    *[ends_in_c_with_a_thread, timed_in_c, spins, reads, waits, quick, deep],
)
