"""Responses after which a connection can be kept, and others after which it cannot."""

import os
import tempfile
import threading

from probe import by_path, event, plain, wait_at
from streaming import waits

seen = []
numbered = []


def text(environ, start_response):
    return plain(start_response, "text")


def who(environ, start_response):
    return plain(start_response, str(os.getpid()))


def who_waits(environ, start_response):
    """The same, when the gate opens that the query names. Reports where it has begun."""
    event(f"begun in {os.getpid()}")
    wait_at(environ["QUERY_STRING"])
    return who(environ, start_response)


def number(environ, start_response):
    """The number of this request among those for this path, from 1."""
    numbered.append(environ)
    return plain(start_response, str(len(numbered)))


def body(environ, start_response):
    """Answers with the body of the request."""
    return plain(start_response, environ["wsgi.input"].read())


def unread(environ, start_response):
    """Does not read the body."""
    return plain(start_response, "unread")


def empty(environ, start_response):
    start_response("200 OK", [])
    return []


def file(environ, start_response):
    """A file, sent with sendfile."""
    content = tempfile.TemporaryFile()
    content.write(b"file" * 50_000)
    content.seek(0)
    start_response("200 OK", [("Content-Length", "200000")])
    return environ["wsgi.file_wrapper"](content)


def large(environ, start_response):
    """More than a socket holds."""
    return plain(start_response, b"x" * 8_000_000)


def closes_descriptors(environ, start_response):
    """Closes what is not its own, as some programs do before they start another one."""
    os.closerange(3, 1024)
    return plain(start_response, "closed")


def generator(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"gene"
    yield b"rator"


def generator_without_length(environ, start_response):
    start_response("200 OK", [])
    yield b"gene"
    yield b"rator"


def write(environ, start_response):
    start_response("200 OK", [("Content-Length", "7")])(b"written")
    return []


def no_content(environ, start_response):
    """A body where there is none."""
    start_response("204 No Content", [("Content-Length", "4")])
    return [b"body"]


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("Content-Length", "4")])
    return []


def says_close(environ, start_response):
    return plain(start_response, "hop by hop", headers=[("Connection", "close"), ("Keep-Alive", "timeout=1")])


def raises(environ, start_response):
    raise KeyError("early")


def raises_behind_the_head(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"part"
    raise KeyError("late")


class Behind:
    """Yields a complete body, and then does what an application may do to its own misfortune."""

    def __init__(self, then, close):
        self.then = then
        self.close = close

    def __iter__(self):
        yield b"full"
        yield from self.then() or ()


def nothing():
    pass


def more():
    return [b" and more"]


def misfortune():
    raise KeyError("too late")


def leave():
    raise SystemExit("too late")


def behind(environ, start_response):
    """A complete response, and then what the query names."""
    write = start_response("200 OK", [("Content-Length", "4")])
    then = environ["QUERY_STRING"]
    if then == "write":
        write(b"full")
        write(b" and more")
        return []
    if then == "file":
        content = tempfile.TemporaryFile()
        content.write(b"full")
        content.seek(0)
        wrapped = environ["wsgi.file_wrapper"](FileThatFailsToClose(content))
        return wrapped

    def slow():
        wait_at(then)
        event(f"finished {then}")

    return {
        "more": Behind(more, nothing),
        "raise": Behind(misfortune, nothing),
        "exit": Behind(leave, nothing),
        "close": Behind(nothing, misfortune),
        "slow": Behind(slow, nothing),
        "slow-close": Behind(nothing, slow),
    }[then]


class FileThatFailsToClose:
    def __init__(self, file):
        self.read = file.read
        self.fileno = file.fileno

    def close(self):
        misfortune()


def too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    return [b"part"]


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"full and more"]


def writes_late(environ, start_response):
    """Has a thread that reads and writes when the request is over."""
    write = start_response("200 OK", [("Content-Length", "4")])
    seen.append(environ)
    over = threading.Event()

    def work():
        over.wait(0.3)
        for name, action in (("read", environ["wsgi.input"].read), ("write", lambda: write(b"late"))):
            try:
                event(f"{name} {action()!r}")
            except Exception as error:
                event(f"{name} {type(error).__name__}")

    threading.Thread(target=work).start()
    return [b"kept"]


application = by_path(
    text,
    who,
    who_waits,
    number,
    body,
    unread,
    empty,
    file,
    large,
    closes_descriptors,
    generator,
    generator_without_length,
    write,
    no_content,
    not_modified,
    says_close,
    raises,
    raises_behind_the_head,
    behind,
    too_short,
    too_long,
    writes_late,
    waits,
)
