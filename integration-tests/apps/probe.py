"""What the applications share: how they report to a test, wait for it, and are chosen by path."""

import os

FOLDER = os.environ["TEST_FOLDER"]


def event(text):
    """Reports something to the test, which waits for it."""
    with open(os.path.join(FOLDER, "events"), "a", errors="backslashreplace") as events:
        events.write(text + "\n")


def gate(name):
    """Returns the gate of that name: reading a byte from it waits until the test opens it, or is over."""
    return open(os.path.join(FOLDER, "gates", name), "rb", buffering=0)


def wait_at(name):
    """Waits until the test opens the gate of that name."""
    with gate(name) as pipe:
        pipe.read(1)


def plain(start_response, body, status="200 OK", headers=()):
    """Answers with a body of bytes or text."""
    body = body if isinstance(body, bytes) else body.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]


def by_path(*applications):
    """Makes one application of several: /name calls the one of that name."""
    table = {"/" + application.__name__: application for application in applications}

    def application(environ, start_response):
        return table[environ["PATH_INFO"]](environ, start_response)

    return application


class Closing:
    """An iterable that reports its close()."""

    def __init__(self, chunks, name="closed"):
        self.chunks = iter(chunks)
        self.name = name

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        event(self.name)
