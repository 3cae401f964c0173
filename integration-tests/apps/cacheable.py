"""A page that may be kept for a minute, once with a Content-Length and once without."""

PAGE = b"the page"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")])
    if environ["PATH_INFO"] == "/list":
        return [PAGE]
    return iter([PAGE] if environ["REQUEST_METHOD"] == "GET" else [])
