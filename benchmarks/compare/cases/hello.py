"""One process with one thread answers "Hello, world", asked directly on its socket with the packet that
nginx sends for a browser's GET (25 variables, of which the client's port and the request's id differ each
time), with a new connection for each request, as nginx makes it.
The floor is a server without Python that accepts, reads, writes and closes. CPU is user and system time of
all processes of the server, the master's too. All servers, those with their access log too, are up together
and are measured in turns."""

from __future__ import annotations

from functools import partial

from .. import instructions, system_calls
from ..bench import Bench
from ..failure import MeasurementFailed
from ..load import SLICES, Work
from ..machine import instruction_counter
from ..results import Results, Summary
from ..rounds import Contender, Trial, failed, progress, run
from ..servers import SERVER, Setup
from ..table import NOTHING, Column, Table, of_contenders, present, spread
from ..turns import Turns

NAME = "hello"
TITLE = "Hello, directly on the socket"

CLIENTS = (1, 8, 64)
# With so many clients no server runs out of requests. With fewer a fast one sleeps between them, and being
# woken costs it more than the request: the floor then looks dearer than a server that is slower.
SATURATING = 64
CONTENDERS = ("floor", "scoter", "uWSGI", "gunicorn")
WITHOUT_LOG = ("floor",)
# Requests for the counts, which are the same for each request.
SYSTEM_CALL_REQUESTS = 2000
INSTRUCTION_REQUESTS = 5000
# valgrind takes a minute for as many of one whose requests are that much longer.
INSTRUCTION_REQUESTS_OF = {"gunicorn": 500}
COUNTS = "hello, counted once"


def case(clients: int, log: bool = False) -> str:
    return f"hello, {in_words(clients)}{', access log' if log else ''}"


def in_words(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


SATURATED = case(SATURATING)
SATURATED_WITH_LOG = case(SATURATING, log=True)


def measure(bench: Bench) -> None:
    contenders = [
        Contender(name, partial(trial, bench, name, log), "with its log" if log else "")
        for name in CONTENDERS
        # Neighbours, because their difference is wanted, too.
        for log in ([False] if name in WITHOUT_LOG else [False, True])
    ]
    run(bench.results, NAME, contenders, bench.rounds)
    for name in CONTENDERS:
        if bench.results.contenders(SATURATED).count(name):
            count(bench, name)


def trial(bench: Bench, name: str, log: bool) -> Turns[Trial]:
    works = {case(clients, log): work_for(bench, clients) for clients in CLIENTS}
    with bench.server(name).serving(Setup(access_log=log), bench.cores.server) as running:
        samples = yield from bench.directly(running, works)
        if log:
            asked = 1 + sum(int(sample["requests"]) + Work().warm_up for sample in samples.values())
            logged = running.access_log.read_bytes().count(b"\n")
            if logged < asked:
                raise MeasurementFailed(f"{asked} requests, but {logged} lines in the access log")
    return samples


def work_for(bench: Bench, clients: int) -> Work:
    """Returns what is asked; twice as much where CPU is compared, by which a few per cent are to be seen."""
    if clients == SATURATING:
        return Work(clients=clients, slices=2 * SLICES, seconds=2 * bench.load.seconds)
    return Work(clients=clients, slices=SLICES)


def count(bench: Bench, name: str) -> None:
    """Counts memory, system calls and instructions: alone, and once, for they hardly differ."""
    server, work = bench.server(name), Work()
    counter = instruction_counter()
    requests = INSTRUCTION_REQUESTS_OF.get(name, INSTRUCTION_REQUESTS)
    counts: dict[str, float] = {}
    try:
        progress(f"{NAME}: system calls of {name}")
        with server.serving(Setup(), bench.cores.server) as running:
            saturating = Work(clients=SATURATING)
            bench.load.run(running.address, running.protocol, saturating, SYSTEM_CALL_REQUESTS)
            counts["pss"] = float(running.tree.pss())
            ask = partial(bench.load.run, running.address, running.protocol, work)
            calls = system_calls.per_request(running.parts, ask, SYSTEM_CALL_REQUESTS)[SERVER]
            counts["system calls"] = sum(calls.values())
            counts.update({f"call {call}": number for call, number in calls.items()})
        progress(f"{NAME}: instructions of {name}")
        if counter == "perf":
            with server.serving(Setup(), bench.cores.server) as running:
                counts["instructions"] = instructions.with_perf(running, bench.load, work, requests)
        elif counter == "valgrind":
            counts["instructions"] = instructions.with_valgrind(
                server, Setup(master=False), bench.load, work, requests
            )
    except Exception as failure:  # As in the rounds: the others are still worth counting.
        failed(bench.results, f"{NAME}, counts", name, 1, failure)
    bench.results.add(COUNTS, name, 0, counts)


def tables(results: Results) -> list[Table]:
    made = []
    for log in (False, True):
        shown = "with the access log" if log else "without an access log"
        made.append(cpu(results, f"CPU per request, µs, {shown}", log))
        made += [
            of_contenders(
                results, f"Rate and latency, {in_words(clients)}, {shown}", case(clients, log),
                [
                    Column("requests/s", "rate", 0),
                    Column("p50 µs", "p50", 0), Column("p99 µs", "p99", 0), Column("p99.9 µs", "p99_9", 0),
                    Column("switches/request", "switches", 2), Column("load generator, CPU µs", "load cpu"),
                ],
            )
            for clients in CLIENTS
        ]
    return present(*made, log_adds(results), counted(results))


def cpu(results: Results, title: str, log: bool) -> Table | None:
    contenders = results.contenders(case(SATURATING, log))
    if not contenders:
        return None
    rows = [
        [
            name,
            *(spread(results.summary(case(clients, log), name, "cpu"), 2) for clients in CLIENTS),
            spread(results.ratio(case(SATURATING, log), name, "uWSGI", "cpu"), 2),
            *([] if log else [spread(results.ratio(case(SATURATING, log), name, "floor", "cpu"), 2)]),
        ]
        for name in contenders
    ]
    header = [
        "",
        *map(in_words, CLIENTS),
        f"{in_words(SATURATING)}: ÷ uWSGI",
        *([] if log else ["÷ floor"]),
    ]
    return Table(title, header, rows)


def log_adds(results: Results) -> Table | None:
    contenders = results.contenders(SATURATED_WITH_LOG)
    if not contenders:
        return None
    rows = [
        [name, *(spread(log_costs(results, name, clients), 2) for clients in CLIENTS)]
        for name in contenders
    ]
    return Table("The access log adds, µs per request", ["", *map(in_words, CLIENTS)], rows)


def log_costs(results: Results, name: str, clients: int = SATURATING) -> Summary | None:
    return results.difference((case(clients, True), name, "cpu"), (case(clients), name, "cpu"))


def counted(results: Results) -> Table | None:
    contenders = results.contenders(COUNTS)
    if not contenders:
        return None
    rows = []
    for name in contenders:
        metrics = results.values[COUNTS][name]
        calls = system_calls.counted(metrics, "call ")
        rows.append(
            [
                name,
                spread(results.summary(COUNTS, name, "system calls"), 2),
                system_calls.in_words(calls) or NOTHING,
                spread(results.summary(COUNTS, name, "instructions"), 0)
                if "instructions" in metrics
                else "not available",
                spread(results.summary(COUNTS, name, "pss"), 1, 2**-20),
            ]
        )
    counter = {
        "perf": "the processor's counter, whole process group",
        "valgrind": "cachegrind, a run of 2N requests minus one of N, without master where there may be none",
        None: "neither a counter of the processor nor valgrind",
    }[instruction_counter()]
    return Table(
        "Per request, counted in a run of its own with 8 clients; and memory",
        ["", "system calls", "which", "instructions in user space", "PSS MiB"],
        rows,
        f"System calls: strace. Instructions: {counter}. PSS: after requests with {SATURATING} clients.",
    )
