"""Waits as applications wait for their database: / not at all, /wait for 10 ms, /slow for 100 ms."""

import time
from typing import Any, Callable, Dict, List

WAITS = {"/wait": 0.010, "/slow": 0.100}


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
    seconds = WAITS.get(environ["PATH_INFO"], 0.0)
    if seconds:
        time.sleep(seconds)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world\n"]
