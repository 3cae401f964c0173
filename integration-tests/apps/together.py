"""An application that answers when as many requests run as the test says. It opens no files."""

import os
import threading

BARRIER = threading.Barrier(int(os.environ["TOGETHER"]))


def application(environ, start_response):
    BARRIER.wait()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "8")])
    return [b"together"]
