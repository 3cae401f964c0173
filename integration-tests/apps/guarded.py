"""A site behind auth_request and mirror: subrequests of nginx, which announce a body that never comes."""

import threading

from probe import by_path, event, plain

reading = 0
lock = threading.Lock()


def auth(environ, start_response):
    """Lets everybody in, and reads nothing."""
    event("auth " + environ.get("CONTENT_LENGTH", ""))
    return plain(start_response, "", "200 OK", [("X-User", "alice")])


def strict(environ, start_response):
    """Lets nobody in, without a Content-Length."""
    start_response("401 Unauthorized", [])
    yield b"no"


def copy(environ, start_response):
    """Takes note of a mirrored request, and reads nothing."""
    event("copy " + environ["REQUEST_METHOD"])
    return plain(start_response, "")


def upload(environ, start_response):
    """Reads the body whole."""
    body = environ["wsgi.input"].read()
    return plain(start_response, f"{environ.get('HTTP_X_USER', 'nobody')} {len(body)}")


def counted(environ, start_response):
    """Reads the body whole, and notes how many do so at the same time."""
    global reading
    with lock:
        reading += 1
    try:
        body = environ["wsgi.input"].read()
        return plain(start_response, body)
    except OSError as error:
        event(f"{type(error).__name__}: {error}")
        return plain(start_response, "no body", "408 Request Timeout")
    finally:
        with lock:
            reading -= 1


def readers(environ, start_response):
    """Answers how many are reading now."""
    return plain(start_response, str(reading))


application = by_path(auth, strict, copy, upload, counted, readers)
