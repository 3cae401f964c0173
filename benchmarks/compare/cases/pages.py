"""A page of a Flask and of a Django application, one process, one thread, eight clients. "No server" is the
same application called in a loop by Python itself; what is above it is the server's share."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Callable

from .. import bare_call
from ..bench import Bench
from ..client import ask
from ..failure import MeasurementFailed
from ..load import Work
from ..results import Results
from ..rounds import Contender, Trial, failed, run
from ..samples import Page, django, flask
from ..servers import Setup, temporary_home
from ..table import Column, Table, present, spread
from ..turns import alone

NAME = "pages"
TITLE = "A real page"

CONTENDERS = ("scoter", "uWSGI", "gunicorn")
NO_SERVER = "no server"
PAGES = ("Flask", "Django")
BARE_CALLS = 500


def case(page: str) -> str:
    return f"{page}, a page"


def measure(bench: Bench) -> None:
    with temporary_home() as home:
        makers: dict[str, Callable[[], Page]] = {
            "Flask": partial(flask, home),
            "Django": partial(django, home, bench.tools),
        }
        for name, make in makers.items():
            try:
                page = make()
            except MeasurementFailed as failure:
                failed(bench.results, NAME, name, 1, failure)
                continue
            contenders = [
                *(Contender(server, alone(partial(trial, bench, page, server))) for server in CONTENDERS),
                Contender(NO_SERVER, alone(partial(bare, bench, page))),
            ]
            run(bench.results, f"{NAME}, {name}", contenders, bench.rounds)


def trial(bench: Bench, page: Page, name: str) -> Trial:
    with bench.server(name).serving(Setup(page.application), bench.cores.server, page.path) as running:
        reply = ask(running.address, running.protocol, page.path)
        if reply.status != 200:
            raise MeasurementFailed(f"{page.path} was answered {reply.status}")
        work = Work(("--path", page.path, "--expect-size", str(len(reply.body))), warm_up=100)
        return {case(page.name): bench.measure(running, work).sample()}


def bare(bench: Bench, page: Page) -> Trial:
    application = page.application
    ended = subprocess.run(
        [
            str(bench.tools.peers_python), str(Path(bare_call.__file__)), str(application.folder),
            application.module, application.callable, page.path, str(BARE_CALLS),
        ],
        env={**os.environ, **application.environment}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.server),
    )
    if ended.returncode != 0:
        raise MeasurementFailed(ended.stderr.strip()[-500:])
    return {case(page.name): {"cpu": float(ended.stdout)}}


def tables(results: Results) -> list[Table]:
    return present(*(table(results, page) for page in PAGES))


def table(results: Results, page: str) -> Table | None:
    contenders = results.contenders(case(page))
    if not contenders:
        return None
    columns = [Column("requests/s", "rate", 0), Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0)]
    rows = []
    for name in contenders:
        key = (case(page), name, "cpu")
        above = results.difference(key, (case(page), NO_SERVER, "cpu"))
        share = results.paired(
            key, (case(page), NO_SERVER, "cpu"), lambda whole, bare: (whole - bare) / whole * 100
        )
        served = name != NO_SERVER
        rows.append(
            [
                name,
                spread(results.summary(*key), 0),
                *(
                    spread(results.summary(case(page), name, column.metric), column.digits)
                    for column in columns
                ),
                spread(above, 0) if served else "",
                spread(share, 1) if served else "",
            ]
        )
    header = [
        "",
        "CPU µs/request",
        *(column.heading for column in columns),
        "above no server, µs",
        "server's share, %",
    ]
    return Table(page, header, rows)
