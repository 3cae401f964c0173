"""System calls per request, counted by strace in a short run of its own: it slows a server down a lot."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, Mapping

from . import children
from .failure import MeasurementFailed
from .process_tree import ProcessTree
from .servers import temporary_home
from .tools import found

ATTACHED_WITHIN_SECONDS = 10.0


def per_request(
    parts: Mapping[str, ProcessTree], ask: Callable[[int], object], requests: int
) -> dict[str, dict[str, float]]:
    """Returns how often the processes of each part make each system call for a request.

    `ask` sends so many requests. All parts are traced at the same time: one that is fast beside a slow one would
    find other work waiting than it does by itself.
    """
    ask(requests)
    with temporary_home() as home:
        files = {part: home / str(number) for number, part in enumerate(parts)}
        with contextlib.ExitStack() as stack:
            for part, tree in parts.items():
                stack.enter_context(counting(tree, files[part]))
            ask(requests)
        return {
            part: {name: calls / requests for name, calls in parse(file).items()}
            for part, file in files.items()
        }


@contextlib.contextmanager
def counting(tree: ProcessTree, counts: Path) -> Iterator[None]:
    """Counts the system calls of some processes as long as the block lasts; then they are in the file."""
    pids = tree.pids()
    command = [found("strace"), "-f", "-c", "-o", str(counts), *(f"--attach={pid}" for pid in pids)]
    strace = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_until_attached(strace, pids)
        yield
        strace.send_signal(signal.SIGINT)
        _, errors = strace.communicate(timeout=ATTACHED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed("strace does not let go") from None
    finally:
        children.stop(strace)
    if not counts.exists():
        raise MeasurementFailed(f"strace: {errors.decode(errors='replace').strip()}")


def wait_until_attached(strace: subprocess.Popen[bytes], pids: list[int]) -> None:
    deadline = time.monotonic() + ATTACHED_WITHIN_SECONDS
    while not all(traced(pid) for pid in pids):
        if strace.poll() is not None or time.monotonic() > deadline:
            errors = (
                strace.stderr.read().decode(errors="replace")
                if strace.poll() is not None and strace.stderr
                else ""
            )
            raise MeasurementFailed(f"strace cannot attach: {errors.strip()}")
        time.sleep(0.01)


def traced(pid: int) -> bool:
    """Whether every thread of a process is being traced."""
    try:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            if "TracerPid:\t0\n" in status.read_text(errors="replace"):
                return False
    except OSError:
        return False
    return True


def parse(table: Path) -> Counter[str]:
    """Reads the table of `strace -c`: % time, seconds, usecs/call, calls, errors (may be empty), syscall."""
    counts: Counter[str] = Counter()
    for line in table.read_text(errors="replace").splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            counts[fields[-1]] += int(fields[3])
    return counts


def counted(metrics: Mapping[str, Mapping[int, float]], prefix: str) -> dict[str, float]:
    """Returns the calls of a run among its metrics, whose names begin with `prefix`."""
    return {
        metric.removeprefix(prefix): by_round[0]
        for metric, by_round in metrics.items()
        if metric.startswith(prefix)
    }


def in_words(calls: dict[str, float]) -> str:
    """Returns the calls that at least one request in twenty makes, the most frequent first."""
    frequent = sorted((-count, name) for name, count in calls.items() if count >= 0.05)
    return ", ".join(f"{name} {-count:.2f}" for count, name in frequent)
