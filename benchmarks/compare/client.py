"""A client for single requests: is the server ready, and what does it answer?"""

from __future__ import annotations

import http.client
import socket
import struct
import time
from dataclasses import dataclass
from typing import Callable

from .failure import MeasurementFailed

RETRY_SECONDS = 0.001
REPLY_WITHIN_SECONDS = 10.0


@dataclass(frozen=True)
class Reply:
    """A complete reply."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Address:
    """Where a server listens: a Unix socket, or a port of the loopback device."""

    path: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        if not self.path:
            return socket.create_connection(("127.0.0.1", self.port), REPLY_WITHIN_SECONDS)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(REPLY_WITHIN_SECONDS)
        try:
            connection.connect(self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(address: Address, protocol: str, path: str = "/") -> Reply:
    """Asks once; an `OSError` says that there was no complete reply."""
    reply = (ask_uwsgi if protocol == "uwsgi" else ask_http)(address, path)
    if reply is None:
        raise ConnectionResetError("no complete reply")
    return reply


def ask_until_answered(
    address: Address,
    protocol: str,
    within_seconds: float,
    path: str = "/",
    expected: bytes | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> Reply:
    """Asks every millisecond until there is a complete reply, with the `expected` body if one is given."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline and not given_up():
        try:
            reply = ask(address, protocol, path)
            if reply.status < 500 and expected in (None, reply.body):
                return reply
        except OSError:
            pass
        time.sleep(RETRY_SECONDS)
    raise MeasurementFailed(
        "it stopped before it answered" if given_up() else f"no answer in {within_seconds:.0f} s"
    )


def ask_uwsgi(address: Address, path: str) -> Reply | None:
    name, _, query = path.partition("?")
    block = b"".join(
        struct.pack("<H", len(key)) + key.encode() + struct.pack("<H", len(value)) + value.encode("latin-1")
        for key, value in {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": name,
            "QUERY_STRING": query,
            "REQUEST_URI": path,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": "",
        }.items()
    )
    received = bytearray()
    with address.connect() as connection:
        connection.sendall(struct.pack("<BHB", 0, len(block), 0) + block)
        while chunk := connection.recv(1 << 16):
            received += chunk
    head, separator, body = bytes(received).partition(b"\r\n\r\n")
    status = head[:12].split()
    if not separator or len(status) != 2 or not status[1].isdigit():
        return None
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length" and int(value) != len(body):
            return None
    return Reply(int(status[1]), body)


def ask_http(address: Address, path: str) -> Reply | None:
    connection = http.client.HTTPConnection("localhost", timeout=REPLY_WITHIN_SECONDS)
    connection.sock = address.connect()
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return Reply(reply.status, reply.read())
    except http.client.HTTPException:
        return None
    finally:
        connection.close()
