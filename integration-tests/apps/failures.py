"""Applications that break, each in its own way. Exceptions carry the name of the application."""

import sys

from probe import Closing, by_path, event, plain

TEXT = [("Content-Type", "text/plain")]


class Broken(Exception):
    pass


def before_start(environ, start_response):
    raise Broken("before_start")


def after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise Broken("after_start")


def at_first_chunk(environ, start_response):
    def chunks():
        raise Broken("at_first_chunk")
        yield b""

    start_response("200 OK", TEXT)
    return Closing(chunks())


def after_first_chunk(environ, start_response):
    """Nothing but the end of the connection says where this response ends."""

    def chunks():
        yield b"partial"
        raise Broken("after_first_chunk")

    start_response("200 OK", [*TEXT, ("X-Accel-Buffering", "no")])
    return Closing(chunks())


def after_first_chunk_announced(environ, start_response):
    def chunks():
        yield b"partial"
        raise Broken("after_first_chunk_announced")

    start_response("200 OK", [*TEXT, ("Content-Length", "1000")])
    return Closing(chunks())


def in_close(environ, start_response):
    class Response(Closing):
        def close(self):
            super().close()
            raise Broken("in_close")

    start_response("200 OK", TEXT)
    return Response([b"complete"])


def in_iter(environ, start_response):
    class Response:
        def __iter__(self):
            raise Broken("in_iter")

        def close(self):
            event("closed")

    start_response("200 OK", TEXT)
    return Response()


def exits(environ, start_response):
    sys.exit(7)


def exits_in_chunk(environ, start_response):
    def chunks():
        sys.exit(8)
        yield b""

    start_response("200 OK", TEXT)
    return Closing(chunks())


def interrupts(environ, start_response):
    raise KeyboardInterrupt("interrupts")


def recurses(environ, start_response):
    return recurses(environ, start_response)


def unprintable(environ, start_response):
    class Unprintable(Exception):
        def __str__(self):
            raise Broken("unprintable")

    raise Unprintable


def returns_str(environ, start_response):
    start_response("200 OK", TEXT)
    return "text"


def returns_list_of_str(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text"]


def yields_str(environ, start_response):
    start_response("200 OK", TEXT)
    yield "text"


def yields_none(environ, start_response):
    start_response("200 OK", TEXT)
    yield None


def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


def returns_int(environ, start_response):
    start_response("200 OK", TEXT)
    return 200


def writes_str(environ, start_response):
    start_response("200 OK", TEXT)("text")
    return []


def never_starts(environ, start_response):
    return [b"body"]


def never_starts_empty(environ, start_response):
    return []


def starts_twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("201 Created", TEXT)
    return [b"twice"]


def replaces(environ, start_response):
    """PEP 3333's error handler: the head isn't out yet, so another may take its place."""
    try:
        start_response("200 OK", [*TEXT, ("X-First", "1")])
        raise Broken("replaces")
    except Broken:
        start_response("503 Replaced", [*TEXT, ("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


def replaces_too_late(environ, start_response):
    """PEP 3333's error handler: the head is out, so start_response must raise what it was given."""
    write = start_response("200 OK", [*TEXT, ("Content-Length", "1000")])
    write(b"partial")
    try:
        raise Broken("replaces_too_late")
    except Broken:
        try:
            start_response("503 Replaced", TEXT, sys.exc_info())
        except Broken as error:
            event(f"raised again: {error}")
            raise
    return [b"replaced"]


def too_few_bytes(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])
    return [b"few"]


def too_many_bytes(environ, start_response):
    def chunks():
        yield b"0123"
        yield b"456789"
        yield b"beyond"
        event("asked for more")

    start_response("200 OK", [*TEXT, ("Content-Length", "8")])
    return Closing(chunks())


def fine(environ, start_response):
    return plain(start_response, "fine")


application = by_path(
    before_start,
    after_start,
    at_first_chunk,
    after_first_chunk,
    after_first_chunk_announced,
    in_close,
    in_iter,
    exits,
    exits_in_chunk,
    interrupts,
    recurses,
    unprintable,
    returns_str,
    returns_list_of_str,
    yields_str,
    yields_none,
    returns_none,
    returns_int,
    writes_str,
    never_starts,
    never_starts_empty,
    starts_twice,
    replaces,
    replaces_too_late,
    too_few_bytes,
    too_many_bytes,
    fine,
)
