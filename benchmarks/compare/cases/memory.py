"""PSS of all processes of a server: master, launcher and workers, shared pages counted once in all. After
20 requests for each worker. Preload: the application is imported once before the workers are forked, as
uWSGI does it unless --lazy-apps is given."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..bench import Bench
from ..failure import MeasurementFailed
from ..load import HELLO_REPLY, Work
from ..results import Results
from ..rounds import Contender, Trial, failed, run
from ..samples import Page, django
from ..servers import HELLO, Setup, temporary_home
from ..table import Table, spread
from ..turns import alone

NAME = "memory"
TITLE = "Memory"

WORKERS = (1, 4, 16)
DJANGO_WORKERS = (4,)
REQUESTS_PER_WORKER = 20
# PSS hardly differs between rounds, and sixteen workers take their time.
ROUNDS_AT_MOST = 2


def label(server: str, preload: bool) -> str:
    words = {
        ("scoter", True): "scoter --preload",
        ("scoter", False): "scoter",
        ("uWSGI", True): "uWSGI",
        ("uWSGI", False): "uWSGI --lazy-apps",
        ("gunicorn", True): "gunicorn --preload",
        ("gunicorn", False): "gunicorn",
    }
    return words[server, preload]


def case(application: str, workers: int) -> str:
    return f"memory, {application}, {workers} worker{'s' if workers > 1 else ''}"


def measure(bench: Bench) -> None:
    hello = Page("hello", HELLO, "/")
    contend(bench, hello, WORKERS)
    with temporary_home() as home:
        try:
            page = django(Path(home), bench.tools)
        except MeasurementFailed as failure:
            failed(bench.results, NAME, "Django", 1, failure)
            return
        contend(bench, page, DJANGO_WORKERS)


def contend(bench: Bench, page: Page, workers: tuple[int, ...]) -> None:
    contenders = [
        Contender(label(server, preload), alone(partial(trial, bench, page, server, preload, workers)))
        for preload in (True, False)
        for server in ("scoter", "uWSGI", "gunicorn")
    ]
    run(bench.results, f"{NAME}, {page.name}", contenders, min(bench.rounds, ROUNDS_AT_MOST))


def trial(bench: Bench, page: Page, server: str, preload: bool, numbers: tuple[int, ...]) -> Trial:
    samples = {}
    for workers in numbers:
        setup = Setup(page.application, workers=workers, preload=preload)
        with bench.server(server).serving(setup, bench.cores.all, page.path) as running:
            expected = HELLO_REPLY if page.application is HELLO else ("--path", page.path)
            work = Work(expected, clients=4 * workers)
            bench.load.run(running.address, running.protocol, work, REQUESTS_PER_WORKER * workers)
            samples[case(page.name, workers)] = {"pss": float(running.tree.pss())}
    return samples


def tables(results: Results) -> list[Table]:
    columns = [("hello", workers) for workers in WORKERS] + [
        ("Django", workers) for workers in DJANGO_WORKERS
    ]
    names = list(dict.fromkeys(name for column in columns for name in results.contenders(case(*column))))
    if not names:
        return []
    rows = [
        [name, *(spread(results.summary(case(*column), name, "pss"), 1, 2**-20) for column in columns)]
        for name in names
    ]
    header = [
        "PSS, MiB",
        *(f"{name}, {workers} worker{'s' if workers > 1 else ''}" for name, workers in columns),
    ]
    return [Table("", header, rows)]
