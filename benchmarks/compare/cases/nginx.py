"""The same application with nginx in front: one nginx process and one server process on one core, browsers'
connections kept alive. scoter, uWSGI and gunicorn get uwsgi packets (`uwsgi_pass`), granian gets HTTP on
connections that are kept alive (`proxy_pass`). CPU is that of nginx and server together. All servers, each
with an nginx of its own, are up together and are measured in turns.
The floor is what nginx and the kernel take with `uwsgi_pass`, whoever answers. It is scheduled as scoter's
threads are while they sleep here (SCHED_BATCH): an ordinary process takes the core from nginx at each
connect, when there is nothing to read yet, and a floor of that kind would cost more than scoter."""

from __future__ import annotations

from functools import partial

from ..bench import Bench
from ..load import SLICES, Work
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Setup
from ..table import Column, Table, of_contenders, present
from ..turns import Turns
from .hello import SATURATING

NAME = "nginx"
TITLE = "Hello, through nginx"

CLIENTS = (8, 64)
PEERS = ("uWSGI", "gunicorn", "granian")
CONTENDERS = ("floor", "scoter", *PEERS)


def case(clients: int) -> str:
    return f"through nginx, {clients} clients"


SATURATED = case(SATURATING)


def measure(bench: Bench) -> None:
    contenders = [Contender(name, partial(trial, bench, name)) for name in CONTENDERS]
    run(bench.results, NAME, contenders, bench.rounds)


def trial(bench: Bench, name: str) -> Turns[Trial]:
    works = {case(clients): Work(clients=clients, slices=SLICES) for clients in CLIENTS}
    with bench.server(name).serving(Setup(), bench.cores.server) as running:
        return (yield from bench.through_nginx(running, works))


def tables(results: Results) -> list[Table]:
    return present(
        *(
            of_contenders(
                results, f"{clients} clients", case(clients),
                [
                    Column("nginx + server, CPU µs/request", "cpu", 1),
                    Column("requests/s", "rate", 0),
                    Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0), Column("p99.9 µs", "p99_9", 0),
                ],
                [(f"CPU ÷ {name}", "cpu", name) for name in PEERS],
            )
            for clients in CLIENTS
        )
    )
