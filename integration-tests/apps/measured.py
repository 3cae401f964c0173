"""Requests of which it is known what a server should count."""

import time

from probe import by_path, event, plain, wait_at


def fine(environ, start_response):
    return plain(start_response, "twelve bytes")


def slow(environ, start_response):
    time.sleep(0.05)
    return plain(start_response, "")


def raises(environ, start_response):
    raise ValueError("counted")


def unavailable(environ, start_response):
    """A failure without an exception."""
    start_response("503 Service Unavailable", [("Content-Length", "0")])
    return []


def waits(environ, start_response):
    name = environ["QUERY_STRING"]
    event(f"begun {name}")
    wait_at(name)
    return plain(start_response, "")


def sleeps(environ, start_response):
    while True:
        time.sleep(0.01)


application = by_path(fine, slow, raises, unavailable, waits, sleeps)
