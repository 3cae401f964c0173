"""Response heads of every kind. The request body, JSON, says which: {"status": …, "headers": [[name, value], …]}."""

import json

from probe import event


def application(environ, start_response):
    head = json.loads(environ["wsgi.input"].read() or b'{"status": "200 OK", "headers": []}')
    headers = [tuple(header) for header in head["headers"]]
    try:
        start_response(head["status"], headers)
    except Exception as error:
        event(f"{type(error).__name__}: {error}".replace("\r", "\\r").replace("\n", "\\n"))
        raise
    return [head.get("body", "body").encode()]
