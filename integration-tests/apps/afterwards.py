"""Code of a request that runs when its application has returned or raised. It waits at the gate that the query names."""

from probe import by_path, event, plain, wait_at


class Broken(Exception):
    pass


class Waits:
    """Waits when it is dropped."""

    def __init__(self, environ):
        self.gate = environ["QUERY_STRING"]

    def __del__(self):
        pause(self.gate)


class Chunk(bytes):
    """A part of a response that waits when it is dropped."""

    def __del__(self):
        pause(self.gate)


class Tells(Exception):
    """An exception whose text is not at hand."""

    def __str__(self):
        pause(self.args[0])
        return "told"


def pause(gate):
    event(f"begun {gate}")
    wait_at(gate)
    event(f"over {gate}")


def message(environ, start_response):
    raise Tells(environ["QUERY_STRING"])


def late_message(environ, start_response):
    """Raises another exception than the one that is to end it."""

    class Late(Exception):
        def __str__(self):
            event("told")
            return "told"

    try:
        pause(environ["QUERY_STRING"])
    except BaseException:
        raise Late from None
    raise Late


def exception(environ, start_response):
    error = Broken("exception")
    error.kept = Waits(environ)
    raise error


def frame(environ, start_response):
    kept = Waits(environ)
    raise Broken(f"frame {type(kept)}")


def generator(environ, start_response):
    def waits():
        try:
            yield
        finally:
            pause(environ["QUERY_STRING"])

    kept = waits()
    next(kept)
    raise Broken(f"generator {type(kept)}")


def variable(environ, start_response):
    environ["test.kept"] = Waits(environ)
    return plain(start_response, "variable")


def part(environ, start_response):
    """More than what is copied behind a head, and then what is."""
    large, small = Chunk(bytes(1 << 20)), Chunk(b"small")
    large.gate = small.gate = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [large, small]


def quick(environ, start_response):
    return plain(start_response, "quick")


application = by_path(message, late_message, exception, frame, generator, variable, part, quick)
