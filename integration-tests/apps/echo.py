"""Answers with what it was given, as JSON: the environ, the types in it, and the body."""

import builtins
import json
import os

EXPECTED_TYPES = {str, bool, tuple}


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    answer = {
        "environ": {key: value if type(value) in EXPECTED_TYPES else repr(value) for key, value in environ.items()},
        "types": {key: type(value).__name__ for key, value in environ.items()},
        "is_dict": type(environ) is dict,
        "body": body.decode("latin-1"),
        "process": {"cwd": os.getcwd(), "touched": getattr(builtins, "touched", []), "environ": dict(os.environ)},
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
