"""The report: Markdown for people, JSON for programs, a picture for the README."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from . import breakdown, picture, targets
from .cases import GROUPS, Group
from .results import Results

METHOD = """\
Figures are medians of {rounds} rounds, with the minimum and the maximum in parentheses. In each round every
server is measured once, freshly started, and each round begins with a different one; a ratio is the median of
the ratios of the rounds. For hello, nginx, kept and threads all servers of a round run at the same time and are
measured in short alternating slices: the sample of a round is the sum of its slices, with all their latencies.
Everything else is measured alone. Servers run with their own defaults except for the number of processes and
threads, a backlog of 1024, and the log. {pinning} Every response is compared byte by byte with the expected one
(pages: status and size): a wrong one invalidates a measurement. `benchmarks/README.md` says how to run it."""


@dataclass(frozen=True)
class Circumstances:
    """Under which circumstances the figures came about."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    minutes: float
    stolen: float
    pinned: bool
    groups: list[str]


def write(folder: Path, results: Results, circumstances: Circumstances) -> None:
    """Writes report.md and report.json, and report.svg if everything in it was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(results, circumstances))
    (folder / "report.json").write_text(json.dumps(as_json(results, circumstances), indent=1) + "\n")
    drawn = picture.draw(results)
    if drawn is None:
        (folder / "report.svg").unlink(missing_ok=True)
    else:
        (folder / "report.svg").write_text(drawn)


def markdown(results: Results, circumstances: Circumstances) -> str:
    groups = [group for group in GROUPS if group.name in circumstances.groups]
    pinning = (
        "Servers (and nginx) run on one core, the load generator on another, except in the group workers."
        if circumstances.pinned
        else "**There is a single core: the load generator takes its time from the servers.**"
    )
    sections = [
        "# What was measured\n",
        " ".join(METHOD.format(rounds=circumstances.rounds, pinning=pinning).split()) + "\n",
        facts(circumstances),
        f"## Targets\n\n{targets.ABOUT}\n",
        targets.table(targets.evaluate(results)).markdown(),
        *(section(group, results) for group in groups),
    ]
    remaining = breakdown.table(results)
    if remaining:
        sections += ["## Where the time goes\n", remaining.markdown()]
    if results.failures:
        sections += ["## What could not be measured\n", failures(results)]
    return "\n".join(sections)


def facts(circumstances: Circumstances) -> str:
    found = {
        "date": f"{circumstances.date}, {circumstances.minutes:.0f} minutes",
        **circumstances.machine,
        "taken by other guests": f"{circumstances.stolen:.1%} of the time",
        **circumstances.versions,
    }
    lines = ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in found.items())]
    return "\n".join(lines) + "\n"


def section(group: Group, results: Results) -> str:
    tables = group.tables(results)
    shown = "\n".join(table.markdown() for table in tables) if tables else "Nothing was measured.\n"
    return f"## {group.title}\n\n{' '.join(group.about.split())}\n\n{shown}"


def failures(results: Results) -> str:
    """Lists who could not be measured; messages that repeat in later rounds are told once."""
    seen: dict[tuple[str, str, str], list[int]] = {}
    for failure in results.failures:
        seen.setdefault((failure.group, failure.contender, failure.message), []).append(failure.round)
    lines = []
    for (group, contender, message), rounds in seen.items():
        indented = message.replace("\n", "\n  ")
        lines.append(
            f"- {group}, {contender}, round {', '.join(map(str, rounds))}:\n\n  ```\n  {indented}\n  ```\n"
        )
    return "\n".join(lines)


def as_json(results: Results, circumstances: Circumstances) -> dict[str, object]:
    return {
        "circumstances": asdict(circumstances),
        "targets": [
            {
                "work": one.target.work,
                "to reach": one.target.wanted,
                "verdict": one.verdict,
                "measured": asdict(one.summary) if one.summary else None,
                "the limit here": asdict(one.bound) if one.bound else None,
            }
            for one in targets.evaluate(results)
        ],
        "where the time goes": [asdict(part) for part in breakdown.parts(results)],
        "failures": [asdict(failure) for failure in results.failures],
        "results": results.as_json(),
    }
