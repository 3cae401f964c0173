"""Hooks in the lifecycle of a worker.

Each decorator takes a function without arguments and returns it unchanged::

    from scoter import hooks, worker_id

    @hooks.on_worker_start
    def connect():
        db.connect(application_name=f"worker-{worker_id()}")

With ``--preload`` the application is imported once and the workers are forked from there:
whatever must not be shared (connections, threads, random generators) belongs into
``post_fork``. Without it every worker imports the application itself, and ``post_fork`` runs
right after. An exception in ``post_fork`` or ``on_worker_start`` keeps the worker from
serving; one in ``on_worker_exit`` is logged.
"""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["on_worker_exit", "on_worker_start", "post_fork"]

Hook = TypeVar("Hook", bound=Callable[[], object])

_hooks: dict[str, list[Callable[[], object]]] = {
    "post_fork": [],
    "on_worker_start": [],
    "on_worker_exit": [],
}


def post_fork(hook: Hook) -> Hook:
    """Run it in every worker's process, once the application is loaded."""
    _hooks["post_fork"].append(hook)
    return hook


def on_worker_start(hook: Hook) -> Hook:
    """Run it before a worker takes its first request."""
    _hooks["on_worker_start"].append(hook)
    return hook


def on_worker_exit(hook: Hook) -> Hook:
    """Run it after a worker's last request, before the functions of ``atexit``."""
    _hooks["on_worker_exit"].append(hook)
    return hook

