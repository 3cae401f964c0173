"""Instructions per request in user space: by the processor's counter where there is one, else by valgrind."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
from pathlib import Path

from . import children
from .client import Address
from .failure import MeasurementFailed
from .load import LoadGenerator, Work
from .servers import Running, Server, Setup, temporary_home
from .tools import found

# valgrind runs programs some fifty times slower.
READY_WITHIN_SECONDS = 120.0


def with_perf(running: Running, load: LoadGenerator, work: Work, requests: int) -> float:
    """Returns what the processor counted in the processes of a server while they answered."""
    counts = running.home / "instructions"
    pids = ",".join(str(pid) for pid in running.tree.pids())
    load.run(running.address, running.protocol, work, requests)
    command = [found("perf"), "stat", "-x,", "-e", "instructions:u", "-o", str(counts), "-p", pids]
    perf = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        load.run(running.address, running.protocol, work, requests)
    finally:
        # SIGINT makes perf write what it has counted.
        perf.send_signal(signal.SIGINT)
        try:
            perf.wait(10)
        finally:
            children.stop(perf)
    counted = re.search(r"^(\d+),", counts.read_text(), re.MULTILINE)
    if counted is None:
        raise MeasurementFailed("perf counted nothing")
    return int(counted[1]) / requests


def with_valgrind(server: Server, setup: Setup, load: LoadGenerator, work: Work, requests: int) -> float:
    """Returns what 2N requests take more than N, so that start and stop do not count."""
    once = run_in_valgrind(server, setup, load, work, requests)
    twice = run_in_valgrind(server, setup, load, work, 2 * requests)
    return (twice - once) / requests


def run_in_valgrind(server: Server, setup: Setup, load: LoadGenerator, work: Work, requests: int) -> int:
    """Returns the instructions of all processes of a server from its start to its end."""
    with temporary_home() as home:
        prefix = (
            found("valgrind"), "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes",
            f"--cachegrind-out-file={home}/counted.%p", f"--log-file={home}/valgrind.%p",
        )
        # Python's seed of the day would change the start by more than the requests cost.
        application = dataclasses.replace(setup.application, environment={"PYTHONHASHSEED": "0"})
        running = server.spawn(dataclasses.replace(setup, application=application), load.cores, home, prefix)
        try:
            running.wait_until_it_answers(READY_WITHIN_SECONDS)
            load.run(Address(running.address.path), running.protocol, work, requests)
            running.process.terminate()
            running.process.wait(60)
        except subprocess.TimeoutExpired:
            raise MeasurementFailed("it does not stop under valgrind") from None
        finally:
            children.stop(running.process)
        return sum(summary_of(file) for file in home.glob("counted.*"))


def summary_of(file: Path) -> int:
    """Returns the instructions of one process; its last line is "summary: N"."""
    for line in reversed(file.read_text(errors="replace").splitlines()):
        if line.startswith("summary:"):
            return int(line.split()[1])
    raise MeasurementFailed(f"valgrind did not finish {file.name}")
