"""The servers, each with the options that make it comparable with the others.

Every one of them gets the same number of processes and threads, a backlog of 1024, and its log either
in a file or nowhere. Beyond that each runs with its own defaults, and with its master where it has one,
as people run it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Mapping

from . import children
from .client import Address, Reply, ask_until_answered
from .failure import MeasurementFailed
from .process_tree import ProcessTree
from .tools import APPLICATIONS, Tools, needed

BACKLOG = "1024"
SERVER = "server"
READY_WITHIN_SECONDS = 30.0
# A server that has started rests when it works less than this share of this time.
RESTING_SECONDS = 0.1
RESTING_SHARE = 0.02
# What would change a server or its Python behind our back.
FOREIGN_SETTINGS = (
    "SCOTER_",
    "UWSGI_",
    "GUNICORN_",
    "GRANIAN_",
    "PYTHON",
    "VIRTUAL_ENV",
    "NOTIFY_SOCKET",
    "LISTEN_",
)


@dataclass(frozen=True)
class Application:
    """A WSGI application that all servers can serve."""

    module: str
    callable: str = "application"
    folder: Path = APPLICATIONS
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return f"{self.module}:{self.callable}"


HELLO = Application("hello")


@dataclass(frozen=True)
class Setup:
    """How a server is to run. `preload` none: as the server does by itself."""

    application: Application = HELLO
    workers: int = 1
    threads: int = 1
    access_log: bool = False
    preload: bool | None = None
    master: bool = True


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    server: Server
    address: Address
    process: subprocess.Popen[bytes]
    home: Path

    @property
    def tree(self) -> ProcessTree:
        return ProcessTree((self.process.pid,))

    @property
    def parts(self) -> dict[str, ProcessTree]:
        """What is measured: the server alone. Behind nginx, nginx is another part."""
        return {SERVER: self.tree}

    @property
    def protocol(self) -> str:
        return self.server.protocol

    @property
    def output(self) -> Path:
        return self.home / "output"

    @property
    def access_log(self) -> Path:
        return self.home / "access.log"

    def wait_until_it_answers(self, within_seconds: float = READY_WITHIN_SECONDS, path: str = "/") -> Reply:
        try:
            return ask_until_answered(
                self.address,
                self.protocol,
                within_seconds,
                path,
                given_up=lambda: self.process.poll() is not None,
            )
        except MeasurementFailed as failure:
            raise MeasurementFailed(f"{failure}\n{children.last_words(self.output)}".strip()) from None

    def wait_until_it_rests(self, workers: int) -> None:
        """Returns when all workers are there and nothing works any more: one may answer before the others."""
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        before = self.tree.usage()
        while time.monotonic() < deadline:
            time.sleep(RESTING_SECONDS)
            now = self.tree.usage()
            started = now.cpu_ns.keys() - before.cpu_ns.keys()
            worked = sum(ns - before.cpu_ns.get(pid, 0) for pid, ns in now.cpu_ns.items())
            if len(now.cpu_ns) >= workers and not started and worked < RESTING_SHARE * RESTING_SECONDS * 1e9:
                return
            before = now
        raise MeasurementFailed(
            f"{len(before.cpu_ns)} processes after {READY_WITHIN_SECONDS:.0f} s, or never at rest"
        )


class Server(ABC):
    """A server that can be started."""

    name: str
    protocol = "uwsgi"

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    @abstractmethod
    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        """Returns the command line; what it logs goes to `home`/access.log if `setup` wants it."""

    def environment(self, setup: Setup) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_SETTINGS)}
        return {**kept, **setup.application.environment}

    def spawn(self, setup: Setup, cores: Iterable[int], home: Path, prefix: tuple[str, ...] = ()) -> Running:
        """Starts the server and returns at once; `prefix` is a program that runs it."""
        address = Address(str(home / "socket"))
        command = [*prefix, *self.command(setup, address, home)]
        process = children.start(command, cores, home, home / "output", self.environment(setup))
        return Running(self, address, process, home)

    @contextlib.contextmanager
    def serving(self, setup: Setup, cores: Iterable[int], path: str = "/") -> Iterator[Running]:
        """Runs the server as long as the block does; it has answered once when the block begins."""
        with temporary_home() as home:
            running = self.spawn(setup, cores, home)
            try:
                running.wait_until_it_answers(path=path)
                running.wait_until_it_rests(setup.workers)
                yield running
            finally:
                children.stop(running.process)


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for one server: its sockets, its logs."""
    home = Path(tempfile.mkdtemp(prefix="s-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Floor(Server):
    """Accepts, reads, writes and closes; no server that does more can cost less."""

    name = "floor"

    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        return [needed(self.tools.floor), str(address)]


class Scoter(Server):
    name = "scoter"

    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        return [
            needed(self.tools.scoter), setup.application.target,
            "--pythonpath", str(setup.application.folder),
            "--bind", str(address),
            "--backlog", BACKLOG,
            "--workers", str(setup.workers),
            "--threads", str(setup.threads),
            "--access-log", str(home / "access.log") if setup.access_log else "off",
            "--log-level", "warn",
            *(["--preload"] if setup.preload else []),
            *([] if setup.master else ["--no-master"]),
        ]


class Uwsgi(Server):
    name = "uWSGI"

    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        return [
            self.tools.peer("uwsgi"),
            "--module", setup.application.target,
            "--pythonpath", str(setup.application.folder),
            "--virtualenv", str(self.tools.peers),
            "--socket", address.path,
            "--listen", BACKLOG,
            "--processes", str(setup.workers),
            # With one thread and without --enable-threads uWSGI never touches the GIL: its fastest way.
            *(["--threads", str(setup.threads)] if setup.threads > 1 else []),
            *(["--master"] if setup.master else []),
            *(["--lazy-apps"] if setup.preload is False else []),
            "--need-app", "--die-on-term",
            *(["--logto", str(home / "access.log")] if setup.access_log else ["--disable-logging"]),
        ]


class Gunicorn(Server):
    name = "gunicorn"

    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        return [
            self.tools.peer("gunicorn"), setup.application.target,
            "--pythonpath", str(setup.application.folder),
            "--protocol", "uwsgi",
            "--bind", str(address),
            "--backlog", BACKLOG,
            "--workers", str(setup.workers),
            "--threads", str(setup.threads),
            "--log-level", "warning",
            "--no-control-socket",
            *(["--access-logfile", str(home / "access.log")] if setup.access_log else []),
            *(["--preload"] if setup.preload else []),
        ]


class Granian(Server):
    """Speaks HTTP only, so it is measured behind nginx's `proxy_pass`, with connections kept alive."""

    name = "granian"
    protocol = "http"

    def command(self, setup: Setup, address: Address, home: Path) -> list[str]:
        return [
            self.tools.peer("granian"), setup.application.target,
            "--interface", "wsgi", "--http", "1", "--no-ws",
            "--working-dir", str(setup.application.folder),
            "--uds", address.path,
            "--backlog", BACKLOG,
            "--workers", str(setup.workers),
            "--blocking-threads", str(setup.threads),
            "--log-level", "warning",
            *(["--access-log"] if setup.access_log else []),
        ]
