"""Runs the load generator, and measures what its requests cost the servers."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Iterable, Sequence

from .client import Address
from .failure import MeasurementFailed
from .process_tree import ProcessTree
from .tools import Tools, needed

ENDS_WITHIN_SECONDS = 120.0
# What a server still does for a request when its reply is complete; scoter writes its log within 50 ms.
AFTERMATH_SECONDS = 0.12
HELLO_REPLY = ("--expect-body", "Hello, world\n")


@dataclass(frozen=True)
class Work:
    """What is asked of a server: the arguments of `load` beyond the number of clients and requests."""

    arguments: Sequence[str] = HELLO_REPLY
    clients: int = 8
    # How many requests to send before the measurement begins; they also say how many fit into the time.
    warm_up: int = 500
    # Where the number of requests is part of the work, it is given; otherwise the time decides.
    requests: int | None = None


@dataclass(frozen=True)
class Report:
    """What `load` reported. Every reply was complete and as expected, or there is no report."""

    raw: dict[str, Any]

    @property
    def requests(self) -> int:
        return int(self.raw["requests"])

    @property
    def seconds(self) -> float:
        return float(self.raw["seconds"])

    @property
    def rate(self) -> float:
        return float(self.raw["requests_per_second"])

    def latency(self, quantile: str, path: str | None = None) -> float:
        """Returns a latency in microseconds, of the first path if none is named."""
        paths = self.raw["latency"]
        return float(paths[path if path is not None else next(iter(paths))][quantile])

    def shares(self, header: str) -> list[float]:
        """Returns how the replies divide among the values of a header, the greatest share first."""
        counts = sorted(self.raw["headers"].get(header, {}).values(), reverse=True)
        return [count / max(1, sum(counts)) for count in counts]


@dataclass(frozen=True)
class Measured:
    """A report, and what its requests cost the processes of the server, per request."""

    report: Report
    cpu_us: float
    switches: float

    def sample(self) -> dict[str, float]:
        """Returns the metrics that every case has."""
        raw = self.report.raw
        return {
            "rate": self.report.rate,
            "cpu": self.cpu_us,
            "switches": self.switches,
            "load cpu": float(raw["load_cpu_us_per_request"]),
            "retries": float(raw["retries"]) / self.report.requests,
            **{quantile: self.report.latency(quantile) for quantile in ("p50", "p99", "p99_9")},
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
        return Report(json.loads(ended.stdout))

    def measure(self, tree: ProcessTree, address: Address, protocol: str, work: Work) -> Measured:
        """Warms up, then measures for about the wanted time."""
        warm = self.run(address, protocol, work, max(work.warm_up, 1))
        requests = work.requests or max(work.clients, 1, int(warm.rate * self.seconds))
        time.sleep(AFTERMATH_SECONDS)
        before = tree.usage()
        report = self.run(address, protocol, work, requests)
        time.sleep(AFTERMATH_SECONDS)
        cpu_ns, switches = tree.usage().since(before)
        return Measured(report, cpu_ns / 1000 / requests, switches / requests)


def on_cores(cores: Iterable[int]) -> None:
    """Moves the benchmark itself out of the way of the servers."""
    os.sched_setaffinity(0, set(cores))
