"""Says which worker has answered."""

import os


def application(environ, start_response):
    headers = [("Content-Type", "text/plain"), ("Content-Length", "13"), ("X-Worker", str(os.getpid()))]
    start_response("200 OK", headers)
    return [b"Hello, world\n"]
