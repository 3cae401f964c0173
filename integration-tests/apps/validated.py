"""An ordinary application under wsgiref.validate, which raises on every breach of PEP 3333 by server or application."""

from wsgiref.validate import validator

ITEMS = [b"one ", b"two ", b"three"]


def reads_and_lists(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.read(2), body.readline(), *body.readlines(), body.read(10)]
    environ["wsgi.errors"].write("a line for the log\n")
    environ["wsgi.errors"].writelines(["and ", "another\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"read ", *parts]


def iterates(environ, start_response):
    parts = list(environ["wsgi.input"])
    start_response("201 Created", [("Content-Type", "text/plain")])
    return iter(parts or ITEMS)


def writes(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"and returned"]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def application(environ, start_response):
    view = {"/iterates": iterates, "/writes": writes, "/empty": empty}.get(environ["PATH_INFO"], reads_and_lists)
    return validator(view)(environ, start_response)
