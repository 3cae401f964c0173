"""Keeps the environ of every request, and shows later what became of it."""

import json

kept = []


def keep(environ, start_response):
    """Adds to its environ, keeps it, and answers with what it saw."""
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    environ["left.behind"] = environ["QUERY_STRING"]
    environ["QUERY_STRING"] = "changed"
    kept.append(environ)
    return answer(start_response, seen)


def clear(environ, start_response):
    """Empties its environ."""
    environ.clear()
    return answer(start_response, {})


def show(environ, start_response):
    """Answers with the environs kept before."""
    strings = [{key: value for key, value in old.items() if isinstance(value, str)} for old in kept]
    return answer(start_response, {"kept": strings, "distinct": len({id(old) for old in kept})})


def answer(start_response, value):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def application(environ, start_response):
    view = {"/keep": keep, "/clear": clear, "/show": show}[environ["PATH_INFO"]]
    return view(environ, start_response)
