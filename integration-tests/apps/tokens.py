"""Answers with every place of the request that carries a token, so that one from another request would show."""


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    seen = [
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        environ.get("HTTP_X_TOKEN", "-"),
        environ.get("HTTP_COOKIE", "-"),
        environ.get("HTTP_X_SOMETIMES", "-"),
        environ.get("CONTENT_TYPE") or "-",
        body.decode("latin-1"),
    ]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Token", environ.get("HTTP_X_TOKEN", "-"))])
    return ["\n".join(seen).encode("latin-1")]
