"""How nginx is configured, and how one sees whether it keeps connections."""

from __future__ import annotations

import socket
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest import mock

from compare import nginx
from compare.client import Address
from compare.connections import check_kept, established
from compare.failure import MeasurementFailed
from compare.servers import Running

ASKS = "uwsgi_param UWSGI_KEEP_CONN"
WITH_MODULE = nginx.Front(Path("/modules/keep.so"), nginx.BUFFERS)


def configured(protocol: str, front: nginx.Front) -> str:
    running = cast(Running, SimpleNamespace(protocol=protocol, address=Address("/run/socket")))
    return nginx.configuration(running, Address(port=8000), front, Path("/params"))


class ConfigurationTest(unittest.TestCase):
    def test_uwsgi_connections_are_kept_with_the_module_only(self) -> None:
        for front, kept in ((nginx.PLAIN, False), (WITH_MODULE, True)):
            text = configured("uwsgi", front)
            self.assertEqual("load_module /modules/keep.so;" in text, kept)
            self.assertEqual("keepalive 256;" in text, kept)
            asking = [line for line in nginx.parameters(front).splitlines() if line.startswith(ASKS)]
            self.assertEqual(len(asking), kept)

    def test_http_connections_are_kept_without_the_module(self) -> None:
        text = configured("http", nginx.PLAIN)
        self.assertNotIn("load_module", text)
        for line in ("keepalive 256;", "proxy_http_version 1.1;", 'proxy_set_header Connection        "";'):
            self.assertIn(line, text)

    def test_parameters_without_the_module_are_the_operators_file(self) -> None:
        plain, with_module = nginx.parameters(nginx.PLAIN), nginx.parameters(WITH_MODULE)
        self.assertEqual(plain, (nginx.REPOSITORY / "nginx-conf" / "uwsgi_params").read_text())
        self.assertEqual(plain.replace(f"#{ASKS}", ASKS), with_module)


class ConnectionsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.address = Address(f"{folder.name}/socket")
        self.listener = self.open(socket.socket(socket.AF_UNIX))
        self.listener.bind(self.address.path)
        self.listener.listen()
        patched = mock.patch("compare.connections.SETTLED_WITHIN_SECONDS", 0.0)
        patched.start()
        self.addCleanup(patched.stop)

    def open(self, opened: socket.socket) -> socket.socket:
        self.addCleanup(opened.close)
        return opened

    def test_connections_are_seen_while_the_server_holds_them(self) -> None:
        self.assertEqual(established(self.address), 0)
        check_kept(self.address, False)
        with self.assertRaises(MeasurementFailed):
            check_kept(self.address, True)

        self.open(self.address.connect())
        accepted = self.open(self.listener.accept()[0])
        self.assertEqual(established(self.address), 1)
        check_kept(self.address, True)
        with self.assertRaises(MeasurementFailed):
            check_kept(self.address, False)

        accepted.close()
        self.assertEqual(established(self.address), 0)


if __name__ == "__main__":
    unittest.main()
