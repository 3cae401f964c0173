"""Responses that are sent piece by piece, each when the test says so."""

import threading

from probe import Closing, by_path, event, plain, wait_at

HEADERS = [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")]


def gated(environ, start_response):
    """Yields three chunks, the second and the third behind a gate."""

    def chunks():
        yield b"first\n"
        wait_at("chunk")
        yield b"second\n"
        wait_at("chunk")
        yield b"third\n"
        event("exhausted")

    start_response("200 OK", HEADERS)
    return Closing(chunks())


def gated_writes(environ, start_response):
    """The same with write()."""
    write = start_response("200 OK", HEADERS)
    write(b"first\n")
    wait_at("chunk")
    write(b"second\n")
    wait_at("chunk")
    return [b"third\n"]


def endless(environ, start_response):
    """Never ends by itself."""

    def chunks():
        event("endless begins")
        while True:
            yield b"again and again\n" * 64

    start_response("200 OK", HEADERS)
    return Closing(chunks())


def endless_writes(environ, start_response):
    """Writes until write() raises, which it reports and passes on."""
    write = start_response("200 OK", HEADERS)
    event("endless begins")
    try:
        while True:
            write(b"again and again\n" * 64)
    except OSError as error:
        event(f"write raised {type(error).__name__}")
        raise


def writes_on(environ, start_response):
    """Has a thread that writes until write() says that it is over, which it reports."""
    write = start_response("200 OK", HEADERS)
    written = threading.Event()

    def work():
        try:
            while True:
                write(b"again and again\n" * 4096)
                written.set()
        except RuntimeError as error:
            event(f"write raised {error}")

    threading.Thread(target=work).start()
    written.wait()
    return [b"the end\n"]


def waits(environ, start_response):
    """Reports that it has begun, and answers when the gate named by the query opens."""
    event("begun " + environ["QUERY_STRING"])
    wait_at(environ["QUERY_STRING"])
    return plain(start_response, "waited at " + environ["QUERY_STRING"])


def quick(environ, start_response):
    return plain(start_response, "quick")


application = by_path(gated, gated_writes, endless, endless_writes, writes_on, waits, quick)
