"""nginx with its module of nginx-conf/keepalive and without it, each server as it is deployed best. "scoter, kept"
has an nginx with the module, which keeps its connections to scoter; "scoter" is without the module. uWSGI and
gunicorn get `uwsgi_pass` without the module, which would do nothing for them: they do not know what it asks for,
and close each connection. granian gets `proxy_pass` with HTTP/1.1 and connections that are kept, as many and as long
as with the module. One nginx process and one server process with one thread share a core, so the rates are those
of one core; the load generator has the other, and keeps its connections to nginx in the same way for all. nginx has
the buffers of nginx-conf/site.conf. All servers, each with an nginx of its own, are up together and are measured in
turns. That nginx keeps connections to the server, or none, is checked before each measurement.
"1 % slow" has two workers with four threads each, on the same core: one request in a hundred sleeps for 100 ms, and
the latencies are those of the others. A kept connection leads to one worker, which may be the one whose threads all
sleep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Mapping, Sequence

from .. import system_calls
from ..bench import Bench
from ..client import Address, ask
from ..failure import MeasurementFailed
from ..load import HELLO_REPLY, SLICES, Work
from ..nginx import BUFFERS, NGINX, Front, in_front_of
from ..results import Results
from ..rounds import Contender, Trial, failed, progress, run
from ..samples import flask
from ..servers import HELLO, SERVER, Application, Setup, temporary_home
from ..table import NOTHING, Column, Table, of_contenders, present, spread
from ..tools import nginx_module
from ..turns import Turns
from .bodies import KIB, LINE
from .hello import SATURATING, SYSTEM_CALL_REQUESTS, in_words
from .threads import SLEEPY

NAME = "kept"
TITLE = "Kept connections, through nginx"

KEPT = "scoter, kept"
PEERS = ("uWSGI", "gunicorn", "granian")
CONTENDERS = (KEPT, "scoter", *PEERS)


@dataclass(frozen=True)
class Kind:
    """One kind of request, at several numbers of clients.

    `path` answers a GET, by which a server is seen to be ready. `expected` none: a page, which is as long as the
    server's first one. `slices` is how many there are where that is not the usual number: more where a target has
    to be told from the noise, fewer where each takes long anyway.
    """

    name: str
    clients: Sequence[int]
    path: str
    arguments: Sequence[str]
    expected: Sequence[str] | None
    slices: Mapping[int, int]

    def case(self, clients: int) -> str:
        return f"{NAME}, {self.name}, {in_words(clients)}"

    def works(self, bench: Bench, address: Address) -> dict[str, Work]:
        arguments = (*self.arguments, *(self.expected or same_size(address, self.path)))
        return {
            self.case(clients): Work(
                arguments, clients, slices=slices, seconds=bench.load.seconds * slices / SLICES
            )
            for clients in self.clients
            for slices in [self.slices.get(clients, USUAL_SLICES)]
        }


USUAL_SLICES = 2
SMALL = Kind("hello", (1, 8, 16, 64, 256), "/", (), HELLO_REPLY, {16: SLICES, SATURATING: SLICES})
LARGE_PATH = f"/list?size={64 * KIB}"
LARGE = Kind(
    "64 KB response", (1, 8, 64, 256), LARGE_PATH, ("--path", LARGE_PATH),
    ("--expect-body", LINE, "--expect-size", str(64 * KIB)), {},
)
UPLOAD = Kind(
    "1 KB POST", (1, 8, 64, 256), LARGE_PATH, ("--method", "POST", "--path", "/whole", "--body", str(KIB)),
    ("--expect-body", f"{KIB}\n"), {},
)
# A difference of 20 µs is to be seen, a few per cent of the page.
PAGE = Kind("Flask's page", (1, 8, 64, 256), "/", (), None, {SATURATING: 2 * SLICES, 256: 1})
KINDS = (SMALL, LARGE, UPLOAD, PAGE)

SLOW = f"{NAME}, 1 % slow, {in_words(SATURATING)}"
SLOW_SETUP = Setup(SLEEPY, workers=2, threads=4)
# Each slice has to be long beside a slow request; the warm-up says how many requests fit into the first.
SLOW_WORK = Work(
    ("--also", "/slow=0.01", *HELLO_REPLY), SATURATING, warm_up=1000, slices=SLICES, seconds=2.1
)
COUNTS = f"{NAME}, counted once"


def measure(bench: Bench) -> None:
    rounds(bench, "hello", Setup(), SMALL)
    rounds(bench, "bodies", Setup(Application("bodies")), LARGE, UPLOAD)
    with temporary_home() as home:
        rounds(bench, "Flask", Setup(flask(home).application), PAGE)
    slow = [Contender(name, partial(slow_trial, bench, name)) for name in CONTENDERS]
    run(bench.results, f"{NAME}, 1 % slow", slow, bench.rounds)
    for name in CONTENDERS:
        if bench.results.contenders(SMALL.case(SATURATING)).count(name):
            count(bench, name)


def rounds(bench: Bench, title: str, setup: Setup, *kinds: Kind) -> None:
    contenders = [Contender(name, partial(trial, bench, name, setup, kinds)) for name in CONTENDERS]
    run(bench.results, f"{NAME}, {title}", contenders, bench.rounds)


def trial(bench: Bench, name: str, setup: Setup, kinds: Sequence[Kind]) -> Turns[Trial]:
    path = kinds[0].path
    with bench.server(server(name)).serving(setup, bench.cores.server, path) as running:
        with in_front_of(running, bench.cores.server, front(name), path) as (address, parts):
            works = {case: work for kind in kinds for case, work in kind.works(bench, address).items()}
            return (yield from bench.in_turns(parts, address, "http", works))


def slow_trial(bench: Bench, name: str) -> Turns[Trial]:
    with bench.server(server(name)).serving(SLOW_SETUP, bench.cores.server) as running:
        with in_front_of(running, bench.cores.server, front(name)) as (address, parts):
            return (yield from bench.in_turns(parts, address, "http", {SLOW: SLOW_WORK}))


def server(name: str) -> str:
    return "scoter" if name == KEPT else name


def front(name: str) -> Front:
    return Front(nginx_module() if name == KEPT else None, BUFFERS)


def same_size(address: Address, path: str) -> tuple[str, ...]:
    reply = ask(address, "http", path)
    if reply.status != 200:
        raise MeasurementFailed(f"{path} was answered {reply.status}")
    return ("--expect-size", str(len(reply.body)))


def count(bench: Bench, name: str) -> None:
    """Counts system calls: alone, and once, for they hardly differ."""
    counts: dict[str, float] = {}
    try:
        progress(f"{NAME}: system calls of {name}")
        with bench.server(server(name)).serving(Setup(HELLO), bench.cores.server) as running:
            with in_front_of(running, bench.cores.server, front(name)) as (address, parts):
                send = partial(bench.load.run, address, "http", Work())
                for part, calls in system_calls.per_request(parts, send, SYSTEM_CALL_REQUESTS).items():
                    counts[f"{part} calls"] = sum(calls.values())
                    counts.update({f"{part} call {call}": number for call, number in calls.items()})
    except Exception as failure:  # As in the rounds: the others are still worth counting.
        failed(bench.results, f"{NAME}, counts", name, 1, failure)
    bench.results.add(COUNTS, name, 0, counts)


def tables(results: Results) -> list[Table]:
    columns = [
        Column("nginx + server, CPU µs/request", "cpu"),
        Column("nginx", f"{NGINX} cpu"), Column("server", f"{SERVER} cpu"),
        Column("requests/s", "rate", 0), Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0),
        Column("switches/request, nginx", f"{NGINX} switches", 2), Column("server", f"{SERVER} switches", 2),
    ]
    ratios = [(f"CPU ÷ {name}", "cpu", name) for name in ("scoter", "uWSGI", "granian")]
    return present(
        *(
            of_contenders(results, f"{title(kind.name)}, {in_words(clients)}", kind.case(clients), columns, ratios)
            for kind in KINDS
            for clients in kind.clients
        ),
        of_contenders(
            results, f"1 % slow, 2 workers with 4 threads, {in_words(SATURATING)}", SLOW,
            [*columns, Column("p99.9 µs", "p99_9", 0)], [("p99 ÷ scoter", "p99", "scoter")],
            "Latencies are those of the fast requests.",
        ),
        counted(results),
    )


def title(name: str) -> str:
    return name[0].upper() + name[1:]


def counted(results: Results) -> Table | None:
    contenders = results.contenders(COUNTS)
    if not contenders:
        return None
    rows = []
    for name in contenders:
        row = [name]
        for part in (NGINX, SERVER):
            calls = system_calls.counted(results.values[COUNTS][name], f"{part} call ")
            row += [
                spread(results.summary(COUNTS, name, f"{part} calls"), 2),
                system_calls.in_words(calls) or NOTHING,
            ]
        rows.append(row)
    return Table(
        "System calls per request, hello, counted by strace in a run of its own with 8 clients",
        ["", "nginx", "which", "server", "which"],
        rows,
    )
