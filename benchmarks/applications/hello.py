"""The smallest application there is: what is left to measure is the server."""

from typing import Any, Callable, Dict, List


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world\n"]
