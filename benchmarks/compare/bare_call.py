"""Calls a WSGI application without any server; prints the CPU microseconds of one call.

Run by the Python of the application: bare_call.py FOLDER MODULE CALLABLE PATH CALLS
"""

from __future__ import annotations

import importlib
import io
import sys
import time
from typing import Any


def main() -> None:
    folder, module, name, path, calls = sys.argv[1:]
    sys.path.insert(0, folder)
    application = getattr(importlib.import_module(module), name)
    for _ in range(min(100, int(calls))):
        call(application, path)
    begin = time.process_time()
    for _ in range(int(calls)):
        call(application, path)
    print((time.process_time() - begin) / int(calls) * 1e6)


def call(application: Any, path: str) -> None:
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "REQUEST_URI": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost", "HTTP_ACCEPT": "text/html", "HTTP_USER_AGENT": "benchmark",
        # As `load` sends them: a session costs Django a query.
        "HTTP_COOKIE": "csrftoken=Xn9W1kYpGQ0hbXkzM1dAQe5Zt0sYVb3K; sessionid=9k2u7c0x1m5v8b3n6a4s",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    body = application(environ, lambda status, headers, exc_info=None: statuses.append(status))
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    if not statuses or not statuses[0].startswith("200"):
        raise SystemExit(f"{path}: {statuses}")


if __name__ == "__main__":
    main()
