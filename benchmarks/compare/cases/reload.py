"""The application's file is changed and the server is told; measured until the changed application answers
for the first time, with one worker. scoter is told by `scoter reload`, which returns when the outcome is
known, and by SIGHUP; the others by SIGHUP. uWSGI also with --lazy-apps, where only its workers start
again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..bench import Bench
from ..client import ask, ask_until_answered
from ..failure import MeasurementFailed
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Application, Running, Setup, temporary_home
from ..table import Column, Table, of_contenders, present
from ..turns import alone

NAME = "reload"
TITLE = "Reload"

CASE = "reload"
RELOADED_WITHIN_SECONDS = 20.0
SOURCE = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version}"]
"""


@dataclass(frozen=True)
class Way:
    """A server, and how it is told."""

    name: str
    server: str
    preload: bool | None = None
    by_command: bool = False


WAYS = (
    Way("scoter, scoter reload", "scoter", by_command=True),
    Way("scoter, HUP", "scoter"),
    Way("scoter --preload, HUP", "scoter", preload=True),
    Way("uWSGI, HUP", "uWSGI"),
    Way("uWSGI --lazy-apps, HUP", "uWSGI", preload=False),
    Way("gunicorn, HUP", "gunicorn"),
)


def measure(bench: Bench) -> None:
    contenders = [Contender(way.name, alone(partial(trial, bench, way))) for way in WAYS]
    run(bench.results, NAME, contenders, bench.rounds)


def trial(bench: Bench, way: Way) -> Trial:
    with temporary_home() as folder:
        write(folder, "old")
        # Compiled files are told from stale ones by the second of their time stamps: too coarse here.
        application = Application("changing", folder=folder, environment={"PYTHONDONTWRITEBYTECODE": "1"})
        with bench.server(way.server).serving(
            Setup(application, preload=way.preload), bench.cores.server
        ) as running:
            if ask(running.address, running.protocol).body != b"old":
                raise MeasurementFailed("it does not serve the file that it was given")
            write(folder, "new")
            begin = time.perf_counter()
            command = told(bench, way, running)
            ask_until_answered(running.address, running.protocol, RELOADED_WITHIN_SECONDS, expected=b"new")
            sample = {"ms": (time.perf_counter() - begin) * 1000}
            if command is not None:
                if command.wait(RELOADED_WITHIN_SECONDS) != 0:
                    raise MeasurementFailed(f"scoter reload ended with {command.returncode}")
                sample["command ms"] = (time.perf_counter() - begin) * 1000
            return {CASE: sample}


def write(folder: Path, version: str) -> None:
    (folder / "changing.py").write_text(SOURCE.format(version=version))


def told(bench: Bench, way: Way, running: Running) -> subprocess.Popen[bytes] | None:
    """Tells a server to reload; returns the command if one does it."""
    if not way.by_command:
        os.kill(running.process.pid, signal.SIGHUP)
        return None
    command = [str(bench.tools.scoter), "reload", "--bind", str(running.address)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def tables(results: Results) -> list[Table]:
    columns = [Column("first new answer, ms", "ms", 0), Column("command returns, ms", "command ms", 0)]
    return present(of_contenders(results, "", CASE, columns))
