"""Evaluates what a test asks about the module ``uwsgi``, in a request, and reports the turns of a worker's life."""

import os
import sys
from urllib.parse import unquote

import uwsgi
import uwsgidecorators
from probe import by_path, event, plain, wait_at


def answer(expression):
    """Returns what an expression gives, or the exception that it raises."""
    try:
        return repr(eval(expression, globals()))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


AT_IMPORT = {name: answer(f"uwsgi.{name}()") for name in ("worker_id", "masterpid", "ready", "mule_id")}


@uwsgidecorators.postfork
def forked():
    event(f"postfork {os.getpid()} {uwsgi.worker_id()}")


@uwsgidecorators.postfork(2)
def second_forked():
    event(f"postfork of the second in {uwsgi.worker_id()}")


def at_exit():
    event(f"atexit {os.getpid()} {uwsgi.worker_id()}")


uwsgi.atexit = at_exit


def asks(environ, start_response):
    """Answers what the expression in the query string gives."""
    return plain(start_response, answer(unquote(environ["QUERY_STRING"])))


def streams(environ, start_response):
    """Disconnects its client after a part, and waits at a gate with the rest."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"early"
    uwsgi.disconnect()
    event("disconnected")
    wait_at("rest")
    yield b"late"
    event("finished")


def limited(environ, start_response):
    """Runs for as long as it is allowed to."""
    uwsgi.set_user_harakiri(1)
    wait_at("never")


@uwsgidecorators.harakiri(1)
def hasty():
    """Ends in time."""


def patient(environ, start_response):
    """Runs longer than a function in it might have."""
    hasty()
    wait_at("patience")
    return plain(start_response, "survived")


application = by_path(asks, streams, limited, patient)
