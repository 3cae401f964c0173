"""What scoter has to reach, and whether it does: on medians of rounds, with ratios taken in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .cases import bodies, criterion, hello, kept, memory, nginx, start, threads
from .results import Results, Summary
from .table import NOTHING, Table, spread

Figure = Callable[[Results], "Summary | None"]


@dataclass(frozen=True)
class Target:
    """One line of the table. `unit` follows the figure; `at_least` turns the comparison round.

    `bound` is what the figure would be for something that no server behind uwsgi_pass can beat, where that was
    measured, too.
    """

    work: str
    wanted: str
    limit: float
    figure: Figure
    unit: str = "×"
    digits: int = 2
    at_least: bool = False
    bound: Figure | None = None

    def evaluate(self, results: Results) -> Evaluated:
        summary = self.figure(results)
        bound = self.bound(results) if self.bound else None
        if summary is None:
            return Evaluated(self, None, bound, "not measured")
        reached = summary.median >= self.limit if self.at_least else summary.median <= self.limit
        return Evaluated(self, summary, bound, "reached" if reached else "missed")


@dataclass(frozen=True)
class Evaluated:
    """A target and what came out."""

    target: Target
    summary: Summary | None
    bound: Summary | None
    verdict: str


def cpu_ratio(case: str, to: str, of: str = "scoter") -> Figure:
    return lambda results: results.ratio(case, of, to, "cpu")


def p99_ratio(case: str, to: str = "uWSGI", of: str = "scoter") -> Figure:
    return lambda results: results.ratio(case, of, to, "p99")


def rate_ratio(case: str, to: str, of: str) -> Figure:
    return lambda results: results.ratio(case, of, to, "rate")


def kept_page_to_uwsgi(results: Results) -> Summary | None:
    return results.difference((KEPT_PAGE, kept.KEPT, "cpu"), (KEPT_PAGE, "uWSGI", "cpu"))


def share_of_full_rate(threads_at_work: int, of: str = "scoter") -> Figure:
    full = threads_at_work / threads.WAIT_SECONDS
    return lambda results: scaled(results.summary(threads.waiting(threads_at_work), of, "rate"), 1 / full)


def log_adds(results: Results) -> Summary | None:
    return hello.log_costs(results, "scoter")


def file_to_generator(results: Results) -> Summary | None:
    file, generator = ((bodies.case(path, BIG), "scoter", "cpu") for path in ("file", "generator"))
    return results.paired(file, generator, lambda left, right: left / right)


def environ_to_c(results: Results) -> Summary | None:
    ours, yardstick = criterion.environ(results), criterion.environ_in_c(results)
    return once(ours / yardstick) if ours and yardstick else None


def decode(results: Results) -> Summary | None:
    ns = criterion.decode(results)
    return once(ns) if ns else None


def memory_ratio(results: Results) -> Summary | None:
    case = memory.case("hello", 4)
    ours, theirs = memory.label("scoter", True), memory.label("uWSGI", True)
    return results.ratio(case, ours, theirs, "pss")


def start_above_python(results: Results) -> Summary | None:
    return results.difference((start.CASE, "scoter", "ms"), (start.CASE, start.PYTHON_IMPORT, "ms"))


def once(value: float) -> Summary:
    return Summary(value, value, value, 1)


def scaled(summary: Summary | None, by: float) -> Summary | None:
    if summary is None:
        return None
    return Summary(summary.median * by, summary.least * by, summary.greatest * by, summary.rounds)


HELLO = "hello, 1×1, access log off, CPU per request"
WITH_LOG = "the same with access log on"
FOUR_THREADS = "hello, 1×4 threads, CPU per request"
SLEEP = "32 threads, 10 ms sleep"
THROUGH_NGINX = "through nginx, nginx + server CPU per request"
KEPT = "through nginx with its module, hello"
KEPT_PAGE = kept.PAGE.case(hello.SATURATING)
KEPT_SLOW = "through nginx with its module, 1 % slow requests, 2 × 4 threads, 64 clients, p99 of the fast ones"
UPLOAD = "1 MB upload, CPU per byte"
GENERATOR = "100 MB response (generator of 64 KB chunks), CPU per byte"
FILE = "100 MB response by file_wrapper, CPU per byte"
MEMORY = "PSS of master + launcher + 4 workers, hello, preload"
START = "start to first answer"
BIG = 100 * bodies.MIB
TARGETS = [
    Target(
        HELLO, "≤ 0.70 × uWSGI", 0.70, cpu_ratio(hello.SATURATED, "uWSGI"),
        bound=cpu_ratio(hello.SATURATED, "uWSGI", of="floor"),
    ),
    Target(HELLO, "≤ 1.30 × floor", 1.30, cpu_ratio(hello.SATURATED, "floor")),
    Target(WITH_LOG, "≤ 0.55 × uWSGI with its log", 0.55, cpu_ratio(hello.SATURATED_WITH_LOG, "uWSGI")),
    Target(WITH_LOG, "the log adds ≤ 1.0 µs", 1.0, log_adds, "µs"),
    Target("p99 at 64 clients", "≤ uWSGI's", 1.0, p99_ratio(hello.case(64))),
    Target(FOUR_THREADS, "≤ 0.75 × uWSGI --threads 4", 0.75, cpu_ratio(threads.hello(4), "uWSGI")),
    Target(
        SLEEP, "≥ 0.97 of 3 200 requests/s", 0.97, share_of_full_rate(32), "", 3, at_least=True,
        bound=share_of_full_rate(32, of=threads.PYTHON_ALONE),
    ),
    Target(SLEEP, "CPU per request ≤ 0.7 × uWSGI", 0.70, cpu_ratio(threads.waiting(32), "uWSGI")),
    *(
        Target(
            THROUGH_NGINX, f"≤ {limit:.2f} × {peer}", limit, cpu_ratio(nginx.SATURATED, peer),
            bound=cpu_ratio(nginx.SATURATED, peer, of="floor"),
        )
        for peer, limit in (("uWSGI", 0.90), ("granian", 0.75), ("gunicorn", 0.30))
    ),
    *(
        Target(
            f"{KEPT}, {clients} clients, nginx + server CPU per request", f"≤ {limit:.2f} × {peer}", limit,
            cpu_ratio(kept.SMALL.case(clients), peer, of=kept.KEPT),
        )
        for clients in (16, 64)
        for peer, limit in (("uWSGI", 0.55), ("granian", 0.80))
    ),
    *(
        Target(
            f"{KEPT}, {clients} clients, requests/s on one core", f"≥ {limit:.1f} × {peer}", limit,
            rate_ratio(kept.SMALL.case(clients), peer, of=kept.KEPT), at_least=True,
        )
        for clients in (16, 64)
        for peer, limit in (("uWSGI", 1.7), ("granian", 1.1))
    ),
    *(
        Target(
            f"{KEPT}, 64 clients, p99", f"≤ {peer}'s", 1.0,
            p99_ratio(kept.SMALL.case(64), peer, of=kept.KEPT),
        )
        for peer in ("uWSGI", "granian")
    ),
    Target(
        "through nginx with its module, Flask's page, nginx + server CPU per request",
        "≤ uWSGI's − 20 µs", -20, kept_page_to_uwsgi, "µs", 0,
    ),
    Target(KEPT_SLOW, "≤ 1.1 × without the module", 1.1, p99_ratio(kept.SLOW, "scoter", of=kept.KEPT)),
    Target(UPLOAD, "≤ uWSGI's", 1.0, cpu_ratio(bodies.case("whole", bodies.MIB), "uWSGI")),
    Target(GENERATOR, "≤ uWSGI's", 1.0, cpu_ratio(bodies.case("generator", BIG), "uWSGI")),
    Target(FILE, "≤ 0.5 × the generator's", 0.5, file_to_generator),
    Target("environ of 24 vars", "≤ 0.80 × the straightforward C loop", 0.80, environ_to_c),
    Target("decode + index of that packet", "≤ 150 ns", 150, decode, "ns", 0),
    Target(MEMORY, "≤ uWSGI with master and 4 processes", 1.0, memory_ratio),
    Target(START, "≤ Python's start + import + 40 ms", 40, start_above_python, "ms more", 0),
]


def evaluate(results: Results) -> list[Evaluated]:
    return [target.evaluate(results) for target in TARGETS]


def table(evaluated: list[Evaluated]) -> Table:
    rows = [
        [
            one.target.work,
            one.target.wanted,
            in_words(one.target, one.summary),
            in_words(one.target, one.bound),
            one.verdict if one.verdict != "missed" else "**missed**",
        ]
        for one in evaluated
    ]
    return Table("", ["work", "to reach", "measured", "the limit here", ""], rows)


def in_words(target: Target, summary: Summary | None) -> str:
    return f"{spread(summary, target.digits)} {target.unit}".strip() if summary else NOTHING


ABOUT = (
    "The limit here is what came out in the same rounds for something that no server behind uwsgi_pass can beat: "
    "the floor in place of scoter, or threads of Python that only sleep. It changes nothing about what has to be reached."
)
