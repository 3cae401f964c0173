"""Measures everything, or the groups that --only names, and writes the report. `make bench` calls this."""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import children, machine, report
from .bench import Bench
from .cases import GROUPS
from .load import LoadGenerator, on_cores
from .process_tree import become_subreaper
from .results import Results
from .rounds import progress
from .tools import REPOSITORY, Tools

REPORT = REPOSITORY / "benchmarks" / "report"
ENOUGH_ROUNDS = 5


def main() -> int:
    arguments = parse()
    groups = [group for group in GROUPS if not arguments.only or group.name in arguments.only]
    tools = Tools.found(arguments.target, arguments.scoter, arguments.peers)
    output = arguments.output or (
        REPORT
        if len(groups) == len(GROUPS) and arguments.rounds >= ENOUGH_ROUNDS
        else arguments.target / "bench-report"
    )

    # However it ends, it takes its servers along; also those whose parent has ended first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    become_subreaper()
    cores = machine.allowed_cores()
    on_cores(cores.load)
    results = Results()
    begin, stolen, described = time.monotonic(), machine.steal(), machine.describe(cores)
    home = tempfile.mkdtemp(prefix="scoter-bench-")
    tempfile.tempdir = home
    try:
        bench = Bench(
            tools, cores, LoadGenerator(tools, cores.load, arguments.seconds), arguments.rounds, results
        )
        for group in groups:
            group.measure(bench)
    except KeyboardInterrupt:
        progress("stopped; nothing is written")
        return 130
    finally:
        tempfile.tempdir = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        children.kill_all_descendants()
        shutil.rmtree(home, ignore_errors=True)

    circumstances = report.Circumstances(
        date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        machine=described,
        versions=tools.versions(),
        rounds=arguments.rounds,
        minutes=(time.monotonic() - begin) / 60,
        stolen=machine.steal().share_since(stolen),
        pinned=not cores.shared,
        groups=[group.name for group in groups],
    )
    report.write(output, results, circumstances)
    progress(f"written: {output / 'report.md'}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ENOUGH_ROUNDS, help="how often each contender runs")
    parser.add_argument(
        "--only", type=group_names, metavar="GROUP,…", default=[],
        help=f"measure only these groups: {', '.join(group.name for group in GROUPS)}",
    )
    parser.add_argument("--seconds", type=float, default=0.6, help="about how long one measurement takes")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER",
        help="where the report goes; else benchmarks/report, or target/bench-report for a part of the groups",
    )
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    parser.add_argument("--target", type=Path, default=target, metavar="FOLDER", help="Cargo's target folder")
    parser.add_argument(
        "--scoter", type=Path, default=REPOSITORY / ".venv" / "bin" / "scoter", metavar="PROGRAM"
    )
    parser.add_argument(
        "--peers", type=Path, default=REPOSITORY / "benchmarks" / ".venv", metavar="FOLDER",
        help="virtual environment with uWSGI, gunicorn and granian",
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not arguments.seconds > 0:
        parser.error("--rounds and --seconds must be positive")
    for name in ("target", "scoter", "peers"):
        setattr(arguments, name, getattr(arguments, name).absolute())
    return arguments


def group_names(text: str) -> list[str]:
    known = {group.name for group in GROUPS}
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - known:
        raise argparse.ArgumentTypeError(
            f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )
    return names


if __name__ == "__main__":
    sys.exit(main())
