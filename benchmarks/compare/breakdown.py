"""Where the time of a request goes: each part from a measurement, and how it was got."""

from __future__ import annotations

from dataclasses import dataclass

from .cases import criterion, hello
from .results import Results, Summary
from .table import NOTHING, Table, number


@dataclass(frozen=True)
class Part:
    """One part of a request; `us` none where it was not measured."""

    name: str
    us: float | None
    source: str


def parts(results: Results) -> list[Part]:
    """Returns the parts of a request with the access log on, the rest last; empty without a total."""
    total = results.summary(hello.SATURATED_WITH_LOG, "scoter", "cpu")
    floor = results.summary(hello.SATURATED, "floor", "cpu")
    log = hello.log_costs(results, "scoter")
    if total is None:
        return []
    call, both = criterion.call(results), criterion.call_and_response(results)
    known = [
        Part("floor", median(floor), "CPU of the floor server in the same rounds: the kernel's part"),
        Part("decode", microseconds(criterion.decode(results)), "criterion, `decode`, with a note of where every value is"),
        Part(
            "environ",
            microseconds(criterion.environ(results)),
            "criterion, `environ`: the next request of a client, with five other values",
        ),
        Part("call", microseconds(call), "criterion, `respond`: the application called without a server"),
        Part(
            "response",
            microseconds(both - call if both and call else None),
            "criterion, `respond`: the same called by scoter, minus the line above",
        ),
        Part("log", median(log), "CPU with the access log minus CPU without, paired by round"),
    ]
    rest = total.median - sum(part.us or 0.0 for part in known)
    missing = ", ".join(part.name for part in known if part.us is None)
    source = "the total minus the lines above"
    if missing:
        source += f", with {missing}, which were not measured"
    return [
        *known,
        Part(
            "rest",
            rest,
            f"{source}: the GIL, looking for work, what caches no longer hold when the parts run in turn",
        ),
        Part("total", total.median, f"CPU of scoter with the access log, {hello.SATURATING} clients"),
    ]


def median(summary: Summary | None) -> float | None:
    return None if summary is None else summary.median


def microseconds(ns: float | None) -> float | None:
    return None if ns is None else ns / 1000


def table(results: Results) -> Table | None:
    found = parts(results)
    if not found:
        return None
    total = found[-1].us or 1.0
    rows = [
        [
            part.name,
            NOTHING if part.us is None else number(part.us, 2),
            NOTHING if part.us is None else f"{part.us / total:.0%}",
            part.source,
        ]
        for part in found
    ]
    return Table("", ["part", "µs", "share", "how it was got"], rows)
