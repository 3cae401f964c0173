"""Every form that PEP 3333 allows an application to have. Each answers "NAME METHOD PATH" with status 203."""

from probe import event

HEADERS = [("Content-Type", "text/plain"), ("X-Form", "pep3333")]


def line(name, environ):
    return f"{name} {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode("latin-1")


def function(environ, start_response):
    start_response("203 Formed", HEADERS)
    return [line("function", environ)]


class Class:
    """Its instances are the responses."""

    def __init__(self, environ, start_response):
        self.environ = environ
        self.start_response = start_response

    def __iter__(self):
        self.start_response("203 Formed", HEADERS)
        yield line("class", self.environ)

    def close(self):
        event("class closed")


class Callable:
    def __call__(self, environ, start_response):
        start_response("203 Formed", HEADERS)
        return iter((line("instance", environ),))

    def method(self, environ, start_response):
        start_response("203 Formed", HEADERS)
        return (line("method", environ),)


instance = Callable()
method = instance.method


def generator(environ, start_response):
    start_response("203 Formed", HEADERS)
    for word in line("generator", environ).partition(b" "):
        yield word


def lazy(environ, start_response):
    """Says its status only when something is to be sent, after empty chunks."""
    yield b""
    yield b""
    start_response("203 Formed", HEADERS)
    yield line("lazy", environ)


def writer(environ, start_response):
    """Uses write() for one half and the iterable for the other."""
    write = start_response("203 Formed", HEADERS)
    name, _, rest = line("writer", environ).partition(b" ")
    write(name)
    write(b" ")
    return [rest]


def only_writes(environ, start_response):
    write = start_response("203 Formed", HEADERS)
    write(line("only_writes", environ))
    return []


def returns_bytes(environ, start_response):
    """Against the PEP's spirit, within its letter: the iterable is the bytes object itself."""
    start_response("203 Formed", HEADERS)
    return line("returns_bytes", environ)


def keywords(environ, start_response):
    start_response(status="203 Formed", response_headers=HEADERS, exc_info=None)
    return [line("keywords", environ)]


def nothing(environ, start_response):
    start_response("203 Formed", HEADERS)
    return []


def make_application():
    """A factory."""
    event("made")
    return function


application = function
