"""From the fork of the server's command until a client, which tries to connect every millisecond, has its
first complete reply. Beside it, in the same rounds: how long Python takes to start and end, and to import
the application."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from functools import partial

from .. import children
from ..bench import Bench
from ..failure import MeasurementFailed
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import HELLO, Setup, temporary_home
from ..table import Column, Table, of_contenders, present
from ..turns import alone

NAME = "start"
TITLE = "Start to the first answer"

CASE = "start"
PYTHON = "python -c pass"
PYTHON_IMPORT = "python -c 'import hello'"
CONTENDERS = ("scoter", "uWSGI", "gunicorn", "granian")
# Starts in one round; the round's value is their median.
REPETITIONS = 3


def measure(bench: Bench) -> None:
    contenders = [Contender(name, alone(partial(server_trial, bench, name))) for name in CONTENDERS]
    contenders.append(Contender(PYTHON, alone(partial(python_trial, bench, "pass"))))
    contenders.append(Contender(PYTHON_IMPORT, alone(partial(python_trial, bench, "import hello"))))
    run(bench.results, NAME, contenders, bench.rounds)


def server_trial(bench: Bench, name: str) -> Trial:
    return {CASE: {"ms": statistics.median(first_answer(bench, name) for _ in range(REPETITIONS))}}


def first_answer(bench: Bench, name: str) -> float:
    """Starts a server once; returns milliseconds."""
    with temporary_home() as home:
        server = bench.server(name)
        begin = time.perf_counter()
        running = server.spawn(Setup(), bench.cores.server, home)
        try:
            running.wait_until_it_answers()
            return (time.perf_counter() - begin) * 1000
        finally:
            children.stop(running.process)


def python_trial(bench: Bench, code: str) -> Trial:
    return {CASE: {"ms": statistics.median(python_start(bench, code) for _ in range(REPETITIONS))}}


def python_start(bench: Bench, code: str) -> float:
    """Runs scoter's Python once; returns milliseconds."""
    begin = time.perf_counter()
    ended = subprocess.run(
        [str(bench.tools.scoter_python), "-c", code],
        env=bench.server("scoter").environment(Setup()), cwd=HELLO.folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.server),
    )
    if ended.returncode != 0:
        raise MeasurementFailed(f"python -c '{code}' ended with {ended.returncode}")
    return (time.perf_counter() - begin) * 1000


def tables(results: Results) -> list[Table]:
    note = f"Each round's value is the median of {REPETITIONS} starts on the servers' core."
    return present(of_contenders(results, "", CASE, [Column("ms", "ms", 0)], note=note))
