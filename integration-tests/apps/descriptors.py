"""Applications that close, or exchange, descriptors that are not theirs."""

import atexit
import os
import socket
import time

from probe import by_path, event, plain, wait_at

def lists(environ, start_response):
    """Names the descriptors of the process, one a line: the number, and what it leads to."""
    folder = "/proc/self/fd"
    lines = []
    for number in os.listdir(folder):
        try:
            lines.append(f"{number} {os.readlink(os.path.join(folder, number))}\n")
        except FileNotFoundError:
            pass  # The one of the listing itself.
    return plain(start_response, "".join(lines))


def closes(environ, start_response):
    """Closes the descriptor that the query names, which it may believe to be its own."""
    os.close(int(environ["QUERY_STRING"]))
    return plain(start_response, "closed")


def exchanges(environ, start_response):
    """Closes the descriptor that the query names, and gets the number for a socket of its own."""
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), int(environ["QUERY_STRING"]))
    return plain(start_response, "exchanged")


def closes_range(environ, start_response):
    """What programs do before they start others: close everything, up to the number in the query."""
    os.closerange(3, int(environ["QUERY_STRING"]))
    return plain(start_response, "closed")


def closes_and_waits(environ, start_response):
    """Closes everything, and answers when others have got the numbers."""
    os.closerange(3, 4096)
    event("closed")
    wait_at(environ["QUERY_STRING"])
    return plain(start_response, "not for others")


def closes_and_sends(environ, start_response):
    """Closes the descriptor that the query names, and sends more than a connection takes at once."""
    os.close(int(environ["QUERY_STRING"]))
    return plain(start_response, bytes(16 << 20))


def closes_standard(environ, start_response):
    """Closes the standard streams, with everything else."""
    os.closerange(0, 4096)
    return plain(start_response, "closed")


def waits(environ, start_response):
    event("begun " + environ["QUERY_STRING"])
    wait_at(environ["QUERY_STRING"])
    return plain(start_response, "waited")


def reads(environ, start_response):
    return plain(start_response, environ["wsgi.input"].read())


def leaves_late(environ, start_response):
    """From now on the end of the process takes a while, in which most of it has ended already."""

    def leave():
        time.sleep(1.5)
        event("left")

    atexit.register(leave)
    return plain(start_response, "registered")


def who(environ, start_response):
    return plain(start_response, str(os.getpid()))


application = by_path(
    lists, closes, exchanges, closes_range, closes_and_waits, closes_and_sends, closes_standard, waits, reads, leaves_late, who
)
