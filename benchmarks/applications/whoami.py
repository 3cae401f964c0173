"""Says which worker has answered."""

import os
from typing import Any, Callable, Dict, List


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", "13"), ("X-Worker", str(os.getpid()))]
    start_response("200 OK", headers)
    return [b"Hello, world\n"]
