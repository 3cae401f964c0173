"""An application that says how many files it may open, and how many its children may."""

import os
import resource

from probe import by_path, plain


def own(environ, start_response):
    return plain(start_response, str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]).encode())


def child(environ, start_response):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        return plain(start_response, pipe.read())


application = by_path(own, child)
