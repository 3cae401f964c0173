"""Reports every turn of a process's life, with the process's id and the worker's number."""

import atexit
import gc
import os

from probe import by_path, event, plain
from scoter import hooks, worker_id


def report(what):
    event(f"{what} {os.getpid()} {worker_id()}")


@hooks.post_fork
def post_fork():
    report("post_fork")


@hooks.on_worker_start
def start():
    report("start")


@hooks.on_worker_start
def start_again():
    report("start_again")


@hooks.on_worker_exit
def leave():
    report("exit")


@atexit.register
def at_exit():
    report("atexit")


os.register_at_fork(
    before=lambda: report("before_fork"),
    after_in_parent=lambda: report("after_fork_in_parent"),
    after_in_child=lambda: report("after_fork_in_child"),
)


def who(environ, start_response):
    return plain(start_response, f"{os.getpid()} {worker_id()}")


def frozen(environ, start_response):
    """Answers with the number of objects that the garbage collector leaves alone."""
    return plain(start_response, str(gc.get_freeze_count()))


report("import")
application = by_path(who, frozen)
