"""One process with several threads. "10 ms" is an application that sleeps for so long in each request, as
one that waits for its database. "Python alone" are as many threads of the same Python that sleep in a
loop and do nothing else; no server is faster. "1 % slow": one request in a hundred sleeps for 100 ms; the
latencies are those of the fast ones, which should not notice. All servers are up together and are measured in
turns."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

from .. import bare_sleep
from ..bench import Bench
from ..failure import MeasurementFailed
from ..load import HELLO_REPLY, SLICES, Work
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Application, Setup
from ..table import Column, Table, of_contenders, present
from ..turns import Turns
from .hello import SATURATING

NAME = "threads"
TITLE = "Threads"

CONTENDERS = ("scoter", "uWSGI", "gunicorn")
PYTHON_ALONE = "Python alone"
THREADS = (4, 32)
SLEEPY = Application("sleepy")
WAIT_SECONDS = 0.010
# In one slice: at its end there is no more work for threads that are ready sooner, and half a wait is lost.
WAITING_SECONDS = 3.0


def hello(threads: int) -> str:
    return f"{threads} threads, hello"


def waiting(threads: int) -> str:
    return f"{threads} threads, 10 ms"


def mixed(threads: int) -> str:
    return f"{threads} threads, 1 % slow"


def clients_for(threads: int) -> int:
    """Twice as many as there are threads, so that none of those has to wait for a client."""
    return 2 * threads


def measure(bench: Bench) -> None:
    for threads in THREADS:
        contenders = [
            Contender(PYTHON_ALONE, partial(sleep_alone, bench, threads)),
            *(Contender(name, partial(trial, bench, threads, name)) for name in CONTENDERS),
        ]
        run(bench.results, f"{NAME}, {threads}", contenders, bench.rounds)


def trial(bench: Bench, threads: int, name: str) -> Turns[Trial]:
    clients = clients_for(threads)
    works = {
        waiting(threads): Work(
            ("--path", "/wait", *HELLO_REPLY), clients=clients, warm_up=10 * threads,
            seconds=WAITING_SECONDS,
        ),
        hello(threads): Work(clients=SATURATING, slices=SLICES),
        # In a single slice, which has to be long beside a slow request.
        mixed(threads): Work(("--also", "/slow=0.01", *HELLO_REPLY), clients=clients, warm_up=200),
    }
    with bench.server(name).serving(Setup(SLEEPY, threads=threads), bench.cores.server) as running:
        return (yield from bench.directly(running, works))


def sleep_alone(bench: Bench, threads: int) -> Turns[Trial]:
    """Measures what Python takes for the waiting alone, when the servers have their turns with that."""
    # They start in the first, and warm up in the second.
    yield
    yield
    sleeps = round(WAITING_SECONDS / WAIT_SECONDS)
    ended = subprocess.run(
        [
            str(bench.tools.scoter_python), str(Path(bare_sleep.__file__)),
            str(threads), str(WAIT_SECONDS), str(sleeps),
        ],
        env=bench.server("scoter").environment(Setup()), capture_output=True, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.server),
    )
    if ended.returncode != 0:
        raise MeasurementFailed(ended.stderr.strip()[-500:])
    rate, cpu = map(float, ended.stdout.split())
    return {waiting(threads): {"rate": rate, "cpu": cpu}}


def tables(results: Results) -> list[Table]:
    made = []
    for threads in THREADS:
        common = [
            Column("CPU µs/request", "cpu", 1), Column("requests/s", "rate", 0),
            Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0), Column("p99.9 µs", "p99_9", 0),
            Column("switches/request", "switches", 2),
        ]
        clients = clients_for(threads)
        ratio = [("CPU ÷ uWSGI", "cpu", "uWSGI")]
        asked = f"{threads} threads, hello, {SATURATING} clients"
        full = f"at most {threads / WAIT_SECONDS:,.0f} requests/s".replace(",", " ")
        made += [
            of_contenders(results, asked, hello(threads), common, ratio),
            of_contenders(
                results,
                f"{threads} threads, 10 ms, {clients} clients: {full}",
                waiting(threads),
                common,
                ratio,
            ),
            of_contenders(
                results, f"{threads} threads, 1 % slow, {clients} clients", mixed(threads), common, ratio
            ),
        ]
    return present(*made)
