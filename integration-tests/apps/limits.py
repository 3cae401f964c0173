"""Reports each request that it gets, by its query."""

from probe import event, plain, wait_at


def application(environ, start_response):
    query = environ["QUERY_STRING"]
    event("got " + query)
    if environ["PATH_INFO"] == "/waits":
        wait_at(query)
    return plain(start_response, "got " + query + environ["wsgi.input"].read().decode())
