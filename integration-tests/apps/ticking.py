"""Timers and signals of ``uwsgi``: reports which worker runs what."""

import os
import time
from urllib.parse import unquote

import uwsgi
from probe import by_path, event, plain
from uwsgidecorators import filemon, rbtimer, signal, timer


@timer(1)
def tick(signum):
    event(f"tick {os.getpid()} {time.monotonic_ns()}")


@rbtimer(1, target="mule")
def of_mule(signum):
    event(f"mule {os.getpid()}")


@filemon(os.path.join(os.environ["TEST_FOLDER"], "watched"))
def changed(signum):
    event(f"changed {os.getpid()}")


@signal(100)
def of_any(signum):
    event(f"any {signum}")


@signal(101, target="workers")
def of_all(signum):
    event(f"all {uwsgi.worker_id()}")


@signal(102, target="worker2")
def of_second(signum):
    event(f"second {uwsgi.worker_id()}")


@signal(103)
def failing(signum):
    raise RuntimeError("not this time")


def raises(environ, start_response):
    """Raises the signal that the query names."""
    uwsgi.signal(int(unquote(environ["QUERY_STRING"])))
    return plain(start_response, "raised")


def who(environ, start_response):
    return plain(start_response, str(os.getpid()))


application = by_path(raises, who)
