"""Parts of a request alone, as `cargo bench` measures them with criterion: estimates of the time of one
iteration, with their 95 % intervals. These run once, not in rounds."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from ..bench import Bench
from ..results import Results
from ..rounds import failed, progress
from ..table import Table, number
from ..tools import REPOSITORY

NAME = "criterion"
TITLE = "The parts alone"

CASE = "criterion"
CRATES = ("uwsgi-codec", "wsgi-environ")
BUILD_WITHIN_SECONDS = 1200
# Criterion's own 3 s and 5 s for each benchmark would take longer than everything else.
PACE = ("--warm-up-time", "0.5", "--measurement-time", "1.5", "--noplot")


def measure(bench: Bench) -> None:
    environment = dict(os.environ)
    if bench.tools.scoter_python.exists():
        environment.setdefault("PYO3_PYTHON", str(bench.tools.scoter_python.resolve()))
    environment["CARGO_TARGET_DIR"] = str(bench.tools.target)
    command = ["cargo", "bench", *(word for crate in CRATES for word in ("--package", crate))]
    began = time.time()
    try:
        progress(f"{NAME}: building")
        cargo([*command, "--no-run"], environment, bench.cores.all)
        progress(f"{NAME}: measuring")
        cargo([*command, "--", *PACE], environment, bench.cores.server)
    except (OSError, subprocess.SubprocessError) as failure:
        failed(bench.results, NAME, "cargo bench", 1, failure)
    for name, sample in estimates(bench.tools.target / "criterion", began).items():
        bench.results.add(CASE, name, 0, sample)


def cargo(command: list[str], environment: dict[str, str], cores: frozenset[int]) -> None:
    """Runs cargo; what it prints goes past the report, except for the end of a failure."""
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
        timeout=BUILD_WITHIN_SECONDS, preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if ended.returncode != 0:
        raise subprocess.SubprocessError(f"{' '.join(command)}:\n{ended.stderr.strip()[-800:]}")


def estimates(folder: Path, since: float) -> dict[str, dict[str, float]]:
    """Reads what criterion has left: nanoseconds by "group/benchmark", only what is newer than `since`."""
    found = {}
    for file in sorted(folder.glob("**/new/estimates.json")):
        if file.stat().st_mtime < since:
            continue
        name = json.loads((file.parent / "benchmark.json").read_text())["full_id"]
        known = json.loads(file.read_text())
        # The slope is the better estimate, where criterion could draw a line; it prints that.
        best = known.get("slope") or known["mean"]
        interval = best["confidence_interval"]
        found[name] = {
            "ns": best["point_estimate"],
            "least": interval["lower_bound"],
            "greatest": interval["upper_bound"],
        }
    return found


def nanoseconds(results: Results, group: str, *words: str) -> float | None:
    """Returns the estimate of the first benchmark of a group whose name holds all `words`."""
    for name in results.contenders(CASE):
        head, _, rest = name.partition("/")
        if head == group and all(word in rest for word in words):
            summary = results.summary(CASE, name, "ns")
            return summary.median if summary else None
    return None


def decode(results: Results) -> float | None:
    """Returns nanoseconds for the packet that nginx sends for a browser's GET, and for noting where its values are."""
    return nanoseconds(results, "decode", "borrowed, and where every value is")


def environ(results: Results) -> float | None:
    """Returns nanoseconds for a dictionary of its 24 variables, five of them unlike the last request's."""
    return nanoseconds(results, "environ", "next request of a client")


def environ_in_c(results: Results) -> float | None:
    """Returns nanoseconds of the yardstick: a straightforward loop of the same calls into CPython."""
    return nanoseconds(results, "environ", "yardstick")


def call(results: Results) -> float | None:
    """Returns nanoseconds of the application and its call, without a server."""
    return nanoseconds(results, "respond", "hello, without the server")


def call_and_response(results: Results) -> float | None:
    """Returns nanoseconds of the same with the server's `start_response`, checks and response head."""
    summary = results.summary(CASE, "respond/hello", "ns")
    return summary.median if summary else None


def tables(results: Results) -> list[Table]:
    rows = []
    for name in results.contenders(CASE):
        ns, least, greatest = (results.summary(CASE, name, metric) for metric in ("ns", "least", "greatest"))
        if ns and least and greatest:
            rows.append(
                [name, number(ns.median, 1), f"{number(least.median, 1)}–{number(greatest.median, 1)}"]
            )
    return [Table("", ["benchmark", "ns", "interval"], rows)] if rows else []
