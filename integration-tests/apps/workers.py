"""Workers that say who they are, and come to their end in various ways."""

import faulthandler
import os

from probe import by_path, plain
from streaming import quick, waits

kept = []


def who(environ, start_response):
    """Answers with the id of the process."""
    return plain(start_response, str(os.getpid()))


def exits(environ, start_response):
    os._exit(7)


def segfaults(environ, start_response):
    faulthandler._sigsegv()


def grows(environ, start_response):
    """Keeps 64 MiB more, each page of them written to."""
    kept.append(b"x" * (64 << 20))
    return plain(start_response, str(os.getpid()))


application = by_path(who, exits, segfaults, grows, quick, waits)
