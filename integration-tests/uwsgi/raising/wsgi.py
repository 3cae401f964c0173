import seen


def application(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("before the response")
    if environ["PATH_INFO"] == "/late":
        start_response("200 OK", [("Content-Type", "text/plain")])
        raise ValueError("after start_response")
    return seen.application(environ, start_response)
