"""The module ``uwsgidecorators``, whose original comes with uWSGI."""

from threading import Thread
from typing import Any, Callable, Optional, TypeVar, Union

from scoter.uwsgi_module import uwsgi

__all__ = ["postfork", "thread"]

Function = TypeVar("Function", bound=Callable[..., Any])

postfork_chain: list["postfork"] = []


def postfork_chain_hook() -> None:
    """Run what ``postfork`` has collected."""
    for function in postfork_chain:
        function()


setattr(uwsgi, "post_fork_hook", postfork_chain_hook)


class postfork:
    """Run a function in every worker before its first request, or with a number only in that one."""

    def __init__(self, f: Union[Callable[[], Any], int]) -> None:
        self.wid = 0
        self.f: Optional[Callable[..., Any]] = None
        if callable(f):
            self.f = f
        else:
            self.wid = f
        postfork_chain.append(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.f is None:
            self.f = args[0]
            return None
        if self.wid > 0 and self.wid != uwsgi.worker_id():
            return None
        return self.f()


class thread:
    """Have each call of a function run in a thread of its own."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Callable[..., Any]:
        worker = Thread(target=self.f, args=args, daemon=True)
        worker.start()
        return self.f
