"""The same application with nginx in front: one nginx process and one server process on one core, browsers'
connections kept alive. scoter, uWSGI and gunicorn get uwsgi packets (`uwsgi_pass`), granian gets HTTP on
connections that are kept alive (`proxy_pass`). CPU is that of nginx and server together."""

from __future__ import annotations

from functools import partial

from ..bench import Bench
from ..load import Work
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Setup
from ..table import Column, Table, of_contenders, present
from .hello import SATURATING

NAME = "nginx"
TITLE = "Hello, through nginx"

CLIENTS = (8, 64)
CONTENDERS = ("scoter", "uWSGI", "gunicorn", "granian")


def case(clients: int) -> str:
    return f"through nginx, {clients} clients"


SATURATED = case(SATURATING)


def measure(bench: Bench) -> None:
    run(
        bench.results,
        NAME,
        [Contender(name, partial(trial, bench, name)) for name in CONTENDERS],
        bench.rounds,
    )


def trial(bench: Bench, name: str) -> Trial:
    works = {case(clients): Work(clients=clients) for clients in CLIENTS}
    with bench.server(name).serving(Setup(), bench.cores.server) as running:
        return {
            name: measured.sample() for name, measured in bench.measure_through_nginx(running, works).items()
        }


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
                [("CPU ÷ uWSGI", "cpu", "uWSGI"), *((f"÷ {name}", "cpu", name) for name in CONTENDERS[2:])],
            )
            for clients in CLIENTS
        )
    )
