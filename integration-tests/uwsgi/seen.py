"""An application that answers with what it sees: of the request, of its process, and of the server.

The query string may ask for more: `status=404` for another status line, `headers` for header fields of several kinds,
`ignore` to leave the body of the request unread.
"""

import json
import os
import resource
import sys
import sysconfig

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
    main = sys.modules.get("__main__")
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    modules = {os.path.abspath(file): name for name, file in files.items() if file}
    modules = {file: name for file, name in modules.items() if file.startswith(folder + "/") and "/venv/" not in file}
    return {
        "sys.argv": sys.argv,
        "sys.executable": os.path.basename(sys.executable or ""),
        "sys.path": import_path(),
        "sys.flags.optimize": sys.flags.optimize,
        "os.getcwd()": os.getcwd(),
        "os.getuid()": os.getuid(),
        "os.getgid()": os.getgid(),
        "os.getgroups()": os.getgroups(),
        "os.umask()": "%03o" % umask(),
        "os.nice()": os.nice(0),
        "os.environ": dict(os.environ),
        "__name__ of": modules,
        "__main__": os.path.basename(getattr(main, "__file__", None) or ""),
        "imported": "by this process" if IMPORTED_BY == os.getpid() else "before the fork",
        "RLIMIT_AS": resource.getrlimit(resource.RLIMIT_AS)[0],
    }


def umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def import_path():
    """The folders that modules come from, without those of Python's library and of the servers themselves."""
    libraries = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    path = [os.path.abspath(entry) for entry in sys.path]
    path = [entry for entry in path if not os.path.realpath(entry).startswith(tuple(libraries))]
    servers = (".zip", "/dist-packages", "/scoter/python")
    return list(dict.fromkeys(entry for entry in path if not entry.endswith(servers)))


def plain(value):
    """Describes a value: plain ones as Python writes them, others by their type."""
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, tuple):
        return "(%s)" % ", ".join(map(plain, value))
    return kind(value)


def kind(value):
    return "<%s>" % type(value).__name__
