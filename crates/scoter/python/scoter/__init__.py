"""scoter: a WSGI application server for nginx ``uwsgi_pass``."""

from scoter._scoter import VERSION as __version__
from scoter._scoter import Errors, FileWrapper, Input, RequestTimeout, StartResponse, Write, worker_id

__all__ = [
    "Errors",
    "FileWrapper",
    "Input",
    "RequestTimeout",
    "StartResponse",
    "Write",
    "__version__",
    "worker_id",
]
