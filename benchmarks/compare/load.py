"""Runs the load generator, and measures what its requests cost the servers."""

from __future__ import annotations

import functools
import json
import math
import operator
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from .client import Address
from .failure import MeasurementFailed
from .process_tree import ProcessTree, Spent
from .tools import Tools, needed
from .turns import Turns

ENDS_WITHIN_SECONDS = 120.0
# What a server still does for a request when its reply is complete; scoter writes its log within 50 ms.
AFTERMATH_SECONDS = 0.08
# Into how many slices a measurement is cut where contenders take turns: what disturbs a virtual machine lasts
# longer than one, and then disturbs all of them.
SLICES = 3
# A slice has so many requests of each client at least: the first of them come all at once.
REQUESTS_OF_A_CLIENT = 5
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999}
HELLO_REPLY = ("--expect-body", "Hello, world\n")


@dataclass(frozen=True)
class Work:
    """What is asked of a server: the arguments of `load` beyond the number of clients and requests."""

    arguments: Sequence[str] = HELLO_REPLY
    clients: int = 8
    # How many requests to send before the measurement begins; they also say how many fit into the time.
    warm_up: int = 300
    # Where the number of requests in a slice is part of the work, it is given; otherwise the time decides.
    requests: int | None = None
    # How many slices there are, between which others may have their turn.
    slices: int = 1
    # How long all of them take together, if not as long as every measurement.
    seconds: float | None = None


@dataclass(frozen=True)
class Report:
    """What `load` reported. Every reply was complete and as expected, or there is no report.

    `latencies` are nanoseconds, with how many requests took so long; of two paths those of the first.
    """

    requests: int
    seconds: float
    retries: int
    load_cpu_us: float
    latencies: Counter[int]
    headers: dict[str, Counter[str]]

    @classmethod
    def parse(cls, text: str) -> Report:
        raw: dict[str, Any] = json.loads(text)
        latency = next(iter(raw["latency"].values()))
        return cls(
            requests=raw["requests"],
            seconds=raw["seconds"],
            retries=raw["retries"],
            load_cpu_us=raw["load_cpu_us_per_request"] * raw["requests"],
            latencies=Counter(dict(latency["counts"])),
            headers={name: Counter(counts) for name, counts in raw["headers"].items()},
        )

    def __add__(self, other: Report) -> Report:
        """Returns what one run of the requests of both would have reported."""
        names = self.headers.keys() | other.headers.keys()
        nothing: Counter[str] = Counter()
        return Report(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.retries + other.retries,
            self.load_cpu_us + other.load_cpu_us,
            self.latencies + other.latencies,
            {name: self.headers.get(name, nothing) + other.headers.get(name, nothing) for name in names},
        )

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def latency(self, share: float) -> float:
        """Returns the microseconds that this share of the requests did not exceed."""
        wanted = max(1, math.ceil(share * sum(self.latencies.values())))
        seen = 0
        for nanoseconds, count in sorted(self.latencies.items()):
            seen += count
            if seen >= wanted:
                return nanoseconds / 1000
        return math.nan

    def shares(self, header: str) -> list[float]:
        """Returns how the replies divide among the values of a header, the greatest share first."""
        counts = sorted(self.headers.get(header, {}).values(), reverse=True)
        return [count / max(1, sum(counts)) for count in counts]


@dataclass(frozen=True)
class Measured:
    """A report, and what its requests cost each part: the server, and nginx if it is in front."""

    report: Report
    spent: Mapping[str, Spent]

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.report + other.report,
            {part: spent + other.spent[part] for part, spent in self.spent.items()},
        )

    @property
    def cpu_ns(self) -> int:
        """Nanoseconds of all parts."""
        return sum(spent.cpu_ns for spent in self.spent.values())

    @property
    def switches(self) -> int:
        """Context switches of all parts."""
        return sum(spent.switches for spent in self.spent.values())

    @property
    def cpu_us(self) -> float:
        """Microseconds for each request."""
        return self.cpu_ns / 1000 / self.report.requests

    def sample(self) -> dict[str, float]:
        """Returns the metrics that every case has; those of each part only where there are several."""
        requests = self.report.requests
        parts = self.spent.items() if len(self.spent) > 1 else ()
        return {
            "requests": requests,
            "rate": self.report.rate,
            "cpu": self.cpu_us,
            "switches": self.switches / requests,
            "load cpu": self.report.load_cpu_us / requests,
            "retries": self.report.retries / requests,
            **{name: self.report.latency(share) for name, share in QUANTILES.items()},
            **{f"{part} cpu": spent.cpu_ns / 1000 / requests for part, spent in parts},
            **{f"{part} switches": spent.switches / requests for part, spent in parts},
        }


@dataclass(frozen=True)
class LoadGenerator:
    """The program `load` on its cores; `seconds` is how long one measurement should take."""

    tools: Tools
    cores: frozenset[int]
    seconds: float

    def run(self, address: Address, protocol: str, work: Work, requests: int) -> Report:
        """Sends `requests` requests, and fails if a single reply is not as expected."""
        command = [
            needed(self.tools.load), "--json", "--protocol", protocol,
            "--clients", str(min(work.clients, requests)), "--requests", str(requests),
            *work.arguments, str(address),
        ]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False,
                stdin=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
            )
        except subprocess.TimeoutExpired:
            raise MeasurementFailed(
                f"load: not done in {ENDS_WITHIN_SECONDS:.0f} s: {' '.join(command)}"
            ) from None
        if ended.returncode != 0:
            raise MeasurementFailed(f"load: {ended.stderr.strip() or ended.returncode}")
        return Report.parse(ended.stdout)

    def measure(
        self, parts: Mapping[str, ProcessTree], address: Address, protocol: str, work: Work
    ) -> Turns[Measured]:
        """Warms up, then measures slice by slice; yields after each, and returns what they are together."""
        latest = self.run(address, protocol, work, max(work.warm_up, 1))
        at_rest = time.monotonic() + AFTERMATH_SECONDS
        yield
        time.sleep(max(0.0, at_rest - time.monotonic()))
        measured: list[Measured] = []
        for _ in range(work.slices):
            before = {part: tree.usage() for part, tree in parts.items()}
            latest = self.run(address, protocol, work, self.requests(work, latest.rate))
            # Not later, when others have had their turns: an idle server works now and then, too.
            time.sleep(AFTERMATH_SECONDS)
            spent = {part: tree.usage().since(before[part]) for part, tree in parts.items()}
            measured.append(Measured(latest, spent))
            yield
        return functools.reduce(operator.add, measured)

    def requests(self, work: Work, rate: float) -> int:
        """Returns how many requests make a slice at a rate."""
        if work.requests is not None:
            return work.requests
        seconds = (self.seconds if work.seconds is None else work.seconds) / work.slices
        return max(REQUESTS_OF_A_CLIENT * work.clients, int(rate * seconds))


def on_cores(cores: Iterable[int]) -> None:
    """Moves the benchmark itself out of the way of the servers."""
    os.sched_setaffinity(0, set(cores))
