"""Takes uploads and sends large responses.

POST /whole reads the body with one read(), POST /pieces in pieces of 64 KiB; both answer with its length.
GET /list, /generator and /file send a body of ?size bytes: as one piece, in pieces of 64 KiB, and as a
real file through wsgi.file_wrapper. It repeats one line, so that a client can check every byte.
"""

import os
from typing import Any, Callable, Dict, Iterable, Iterator, List

LINE = b"0123456789abcdef" * 4
PIECE = 64 * 1024
FILES = os.environ.get("BODIES_FOLDER", ".")


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        return upload(environ["wsgi.input"], path, start_response)
    size = int(environ["QUERY_STRING"].partition("=")[2])
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]
    start_response("200 OK", headers)
    if path == "/list":
        return [content(size)]
    if path == "/generator":
        return pieces(size)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](open(file_of(size), "rb"), PIECE)
    return wrapped


def upload(body: Any, path: str, start_response: Callable[..., Any]) -> List[bytes]:
    if path == "/whole":
        length = len(body.read())
    else:
        length = sum(len(piece) for piece in iter(lambda: body.read(PIECE), b""))
    answer = b"%d\n" % length
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def pieces(size: int) -> Iterator[bytes]:
    piece = content(PIECE)
    while size > 0:
        yield piece if size >= PIECE else piece[:size]
        size -= PIECE


# What a response costs is measured, not the making of it.
kept: Dict[int, bytes] = {}


def content(size: int) -> bytes:
    if size not in kept:
        kept[size] = (LINE * (size // len(LINE) + 1))[:size]
    return kept[size]


def file_of(size: int) -> str:
    return os.path.join(FILES, str(size))
