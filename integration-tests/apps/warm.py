"""Applications that are asked for /warm?up=1 before anybody else comes."""

from probe import Closing, event, plain


def good(environ, start_response):
    names = "REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "REMOTE_ADDR", "HTTP_USER_AGENT"
    names += ("scoter.request_id",)
    event(" ".join(environ[name] for name in names))
    plain(start_response, "warm", "404 Not Found")
    return Closing([b"warm"])


def unavailable(environ, start_response):
    return plain(start_response, "cold", "503 Service Unavailable")


def broken(environ, start_response):
    raise LookupError("no cache")


def broken_at_its_end(environ, start_response):
    class Response(Closing):
        def close(self):
            raise LookupError("no cache")

    start_response("200 OK", [])
    return Response([b"warm"])
