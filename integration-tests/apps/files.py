"""Responses made of files, with and without wsgi.file_wrapper. The file is `file.bin` in the test's folder."""

import gzip
import io
import os
import tempfile

from probe import FOLDER, by_path, event

PATH = os.path.join(FOLDER, "file.bin")
BINARY = ("Content-Type", "application/octet-stream")


def reporting(file):
    """Makes the close() of a file-like object known to the test."""

    class Reporting:
        def read(self, size):
            return file.read(size)

        def close(self):
            event("file closed")
            file.close()

    return Reporting()


def whole(environ, start_response):
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](open(PATH, "rb"))


def from_position(environ, start_response):
    """The rest of a file that was read in part."""
    file = open(PATH, "rb")
    file.read(20)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](file, 4096)


def part(environ, start_response):
    """As many bytes as Content-Length says, from the position."""
    file = open(PATH, "rb")
    file.seek(20)
    start_response("206 Partial Content", [BINARY, ("Content-Length", "10")])
    return environ["wsgi.file_wrapper"](file)


def unbuffered(environ, start_response):
    file = open(PATH, "rb", buffering=0)
    file.seek(20)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](file)


def memory(environ, start_response):
    file = io.BytesIO(b"x" * 20 + b"from memory")
    file.seek(20)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](file, 4)


def compressed(environ, start_response):
    """Has a fileno(), but what is to be sent isn't what is in that file."""
    path = os.path.join(FOLDER, "file.gz")
    with gzip.open(path, "wb") as file:
        file.write(b"unpacked " * 1000)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](gzip.open(path))


def temporary(environ, start_response):
    file = tempfile.NamedTemporaryFile()
    file.write(b"written but not flushed")
    file.seek(8)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](file)


def closes(environ, start_response):
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](reporting(open(PATH, "rb")))


def without_close(environ, start_response):
    class Endless:
        parts = [b"no ", b"close"]

        def read(self, size):
            return self.parts.pop(0) if self.parts else b""

    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](Endless())


def iterated(environ, start_response):
    """PEP 3333: the application may iterate over it itself, as middleware does."""
    start_response("200 OK", [BINARY])
    for chunk in environ["wsgi.file_wrapper"](open(PATH, "rb"), 7):
        yield chunk


def pipe(environ, start_response):
    """A file without a size."""
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](os.fdopen(reader, "rb"))


def of_the_kernel(environ, start_response):
    """A file whose size says nothing."""
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb"))


def not_a_file(environ, start_response):
    start_response("200 OK", [BINARY])
    return environ["wsgi.file_wrapper"](object())


def accelerated(environ, start_response):
    """Leaves the file to nginx."""
    headers = [
        ("Content-Type", "text/x-from-application"),
        ("Set-Cookie", "seen=1"),
        ("X-Accel-Redirect", environ["QUERY_STRING"]),
    ]
    start_response("200 OK", headers)
    return [b"replaced by the file"]


application = by_path(
    whole,
    from_position,
    part,
    unbuffered,
    memory,
    compressed,
    temporary,
    closes,
    without_close,
    iterated,
    pipe,
    of_the_kernel,
    not_a_file,
    accelerated,
)
