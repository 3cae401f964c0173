"""Two processes with one thread each on all cores that are allowed; the load generator has to share them,
so the rate says less than elsewhere. The share of the busier process shows how fairly the requests are
divided; 50 % is perfect."""

from __future__ import annotations

from functools import partial

from ..bench import Bench
from ..load import HELLO_REPLY, Work
from ..results import Results
from ..rounds import Contender, Trial, run
from ..servers import Application, Setup
from ..table import Column, Table, of_contenders, present
from ..turns import alone

NAME = "workers"
TITLE = "Two workers"

CONTENDERS = ("scoter", "uWSGI", "gunicorn")
CLIENTS = (1, 8, 64)
WORKERS = 2
HEADER = "X-Worker"


def case(clients: int) -> str:
    return f"two workers, {clients} client{'s' if clients > 1 else ''}"


def measure(bench: Bench) -> None:
    run(
        bench.results,
        NAME,
        [Contender(name, alone(partial(trial, bench, name))) for name in CONTENDERS],
        bench.rounds,
    )


def trial(bench: Bench, name: str) -> Trial:
    samples = {}
    with bench.server(name).serving(
        Setup(Application("whoami"), workers=WORKERS), bench.cores.all
    ) as running:
        for clients in CLIENTS:
            measured = bench.measure(running, Work((*HELLO_REPLY, "--count-header", HEADER), clients=clients))
            shares = measured.report.shares(HEADER)
            samples[case(clients)] = {**measured.sample(), "busier": shares[0] if shares else float("nan")}
    return samples


def tables(results: Results) -> list[Table]:
    return present(
        *(
            of_contenders(
                results, f"{clients} client{'s' if clients > 1 else ''}", case(clients),
                [
                    Column("the busier process, %", "busier", 1, 100),
                    Column("CPU µs/request", "cpu", 1), Column("requests/s", "rate", 0),
                    Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0), Column("p99.9 µs", "p99_9", 0),
                ],
                [("CPU ÷ uWSGI", "cpu", "uWSGI")],
            )
            for clients in CLIENTS
        )
    )
