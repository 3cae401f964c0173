"""Large bodies, never held in memory as a whole. The same pattern as `Pattern` of the harness."""

from probe import by_path

PERIOD = 251 * 241
BLOCK = bytes(i % 251 ^ i // 251 % 241 for i in range(PERIOD)) * 2


def pattern(length):
    position = 0
    while length:
        piece = BLOCK[position : position + min(length, 50000)]
        yield piece
        length -= len(piece)
        position = (position + len(piece)) % PERIOD


def announced(environ, start_response):
    """Sends QUERY_STRING bytes with a Content-Length."""
    length = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", length)])
    return pattern(int(length))


def unannounced(environ, start_response):
    """Sends QUERY_STRING bytes; their end is the end of the connection."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return pattern(int(environ["QUERY_STRING"]))


def written(environ, start_response):
    """Sends QUERY_STRING bytes with write()."""
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for piece in pattern(int(environ["QUERY_STRING"])):
        write(piece)
    return []


def at_once(environ, start_response):
    """Returns QUERY_STRING bytes as a list of one chunk."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"".join(pattern(int(environ["QUERY_STRING"])))]


def many(environ, start_response):
    """Returns a list of as many chunks of as many bytes as QUERY_STRING says: "COUNT,SIZE"."""
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [BLOCK[i : i + size] for i in range(count)]


application = by_path(announced, unannounced, written, at_once, many)
