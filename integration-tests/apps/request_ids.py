"""Logs with the ID of the request, as OPERATING.md shows."""

import logging
from contextvars import ContextVar

request_id = ContextVar("request_id", default="-")


class RequestID(logging.Filter):
    def filter(self, record):
        record.request_id = request_id.get()
        return True


handler = logging.StreamHandler()
handler.addFilter(RequestID())
handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(request_id)s %(message)s"))
logging.basicConfig(handlers=[handler])


def with_request_id(application):
    def wrapped(environ, start_response):
        request_id.set(environ["scoter.request_id"])
        return application(environ, start_response)

    return wrapped


@with_request_id
def application(environ, start_response):
    logging.warning("asked for %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done\n"]
