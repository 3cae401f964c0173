"""An application that answers with what it sees: of the request, of its process, and of the server.

The query string may ask for more: `status=404` for another status line, `headers` for header fields of several kinds,
`ignore` to leave the body of the request unread.
"""

import json
import os
import resource
import signal
import sys
import sysconfig
import threading

IMPORTED_BY = os.getpid()

STATUSES = {"404": "404 Not Found", "503": "503 Come Back Later", "204": "204 No Content"}


def application(environ, start_response):
    question = environ.get("QUERY_STRING", "")
    unread = "ignore" in question
    body = None if unread else environ["wsgi.input"].read()
    seen = {"environ": of_request(environ), "body": plain(body), "process": of_process()}
    answer = json.dumps(seen, sort_keys=True).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    if "headers" in question:
        headers += [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-lower-Case", "\xe9t\xe9"), ("X-Empty", "")]
    start_response(STATUSES.get(question.partition("status=")[2][:3], "200 OK"), headers)
    return [answer]


def of_request(environ):
    return {key: plain(value) for key, value in environ.items()}


def of_process():
    folder = os.environ["APP_FOLDER"]
    standard = tuple(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
    main = sys.modules.get("__main__")
    modules = {
        name: getattr(module, "__file__", None) or ""
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").startswith((folder, "."))
    }
    return {
        "sys.argv": sys.argv,
        "sys.executable": os.path.basename(sys.executable or ""),
        "sys.path": [entry for entry in sys.path if not os.path.realpath(entry).startswith(standard)],
        "sys.prefix": sys.prefix,
        "sys.flags.optimize": sys.flags.optimize,
        "os.getcwd()": os.getcwd(),
        "os.getuid()": os.getuid(),
        "os.getgid()": os.getgid(),
        "os.getgroups()": os.getgroups(),
        "os.umask()": "%03o" % umask(),
        "os.nice()": os.nice(0),
        "os.environ": dict(os.environ),
        "modules": modules,
        "__main__": os.path.basename(getattr(main, "__file__", None) or ""),
        "imported": "by this process" if IMPORTED_BY == os.getpid() else "before the fork",
        "thread": "main" if threading.current_thread() is threading.main_thread() else "other",
        "SIGTERM": handler(signal.SIGTERM),
        "SIGINT": handler(signal.SIGINT),
        "RLIMIT_AS": resource.getrlimit(resource.RLIMIT_AS)[0],
    }


def umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def handler(number):
    found = signal.getsignal(number)
    return found.name if isinstance(found, signal.Handlers) else str(found and kind(found))


def plain(value):
    """Describes a value: plain ones as Python writes them, others by their type."""
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, tuple):
        return "(%s)" % ", ".join(map(plain, value))
    return kind(value)


def kind(value):
    return "<%s>" % type(value).__name__
