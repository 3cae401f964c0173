"""scoter: a WSGI application server for nginx ``uwsgi_pass``."""

from scoter._scoter import VERSION as __version__

__all__ = ["__version__"]
