"""What applications do with a request body."""

import hashlib
import json
import resource
from contextlib import contextmanager

from probe import by_path, event, plain, wait_at


def everything(environ, start_response):
    """Reads it whole."""
    return plain(start_response, environ["wsgi.input"].read())


def digest(environ, start_response):
    """Reads it in pieces and answers with its length and SHA-256."""
    sha256, length = hashlib.sha256(), 0
    while True:
        piece = environ["wsgi.input"].read(65536)
        if not piece:
            break
        sha256.update(piece)
        length += len(piece)
    return plain(start_response, f"{length} {sha256.hexdigest()}")


def unread(environ, start_response):
    """Refuses it without a look."""
    return plain(start_response, "too much\n" * 1000, "413 Content Too Large")


def peek(environ, start_response):
    """Refuses it after the first bytes."""
    first = environ["wsgi.input"].read(4)
    return plain(start_response, first + b" is enough", "413 Content Too Large")


def every_method(environ, start_response):
    """Mixes all the ways to read."""
    body = environ["wsgi.input"]
    parts = [body.read(0), body.read(3), body.readline(2), body.readline(), body.readlines(1), next(iter(body))]
    parts += [list(body), body.read(), body.read(5), body.readline(), body.readlines()]
    return plain(start_response, json.dumps(parts, default=bytes.decode))


def piecewise(environ, start_response):
    """Reports each line as it comes, before it asks for the next."""
    for line in environ["wsgi.input"]:
        event("line " + line.decode().rstrip("\n"))
    return plain(start_response, "all lines read")


def short(environ, start_response):
    """Reads it whole and reports what is raised when it doesn't come whole."""
    try:
        body = environ["wsgi.input"].read()
    except OSError as error:
        event(f"{type(error).__name__}: {error}")
        return plain(start_response, "short", "400 Bad Request")
    event(f"read {len(body)}")
    return plain(start_response, "whole")


def careless(environ, start_response):
    """Reads it whole and doesn't care about exceptions."""
    return plain(start_response, environ["wsgi.input"].read())


def answers_first(environ, start_response):
    """A generator that sends before it reads."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")])
    yield b"reading:"
    yield environ["wsgi.input"].read()


def late(environ, start_response):
    """Gives away wsgi.input and reads it when the request is over."""
    global left_over
    left_over = environ["wsgi.input"]
    return plain(start_response, "left")


def read_left_over(environ, start_response):
    try:
        return plain(start_response, left_over.read())
    except Exception as error:
        return plain(start_response, type(error).__name__ + ": " + str(error))


def starts(environ, start_response):
    """Reports that it was called, waits, then reads."""
    event("started")
    wait_at("body")
    return plain(start_response, environ["wsgi.input"].read())


@contextmanager
def little_memory():
    """Leaves the process about 8 MiB more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        # Other threads may give some back after a look at how much there is.
        while can_have(12 << 20):
            with open("/proc/self/statm") as statm:
                size = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def can_have(size):
    try:
        return bool(bytearray(size))
    except MemoryError:
        return False


def recovers(environ, start_response):
    """Reads it with too little memory, by the method that QUERY_STRING names, and then again."""
    body = environ["wsgi.input"]
    with little_memory():
        try:
            getattr(body, environ["QUERY_STRING"])()
        except MemoryError:
            event("MemoryError")
    return digest(environ, start_response)


def starves(environ, start_response):
    """Reads it with too little memory, by the method that QUERY_STRING names, and doesn't care about exceptions."""
    with little_memory():
        getattr(environ["wsgi.input"], environ["QUERY_STRING"])()
    return plain(start_response, "not starved")


def rereads(environ, start_response):
    """Reads it, and once more where it can."""
    body = environ["wsgi.input"]
    first = body.read()
    if not body.seekable():
        return plain(start_response, f"{len(first)} once")
    again = body.tell() == len(first) and body.seek(0) == 0 and body.read() == first
    return plain(start_response, f"{len(first)} {'twice' if again else 'differs'}")


def logs(environ, start_response):
    """Writes it to the log once the test has seen to the memory, and doesn't care about exceptions."""
    text = environ["wsgi.input"].read().decode()
    event("read")
    wait_at("memory")
    environ["wsgi.errors"].write(text)
    return plain(start_response, "written")


application = by_path(
    everything,
    digest,
    unread,
    peek,
    every_method,
    piecewise,
    short,
    careless,
    answers_first,
    late,
    read_left_over,
    starts,
    recovers,
    starves,
    logs,
    rereads,
)
