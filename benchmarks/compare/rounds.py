"""Rounds: in each of them every contender runs once, and each round begins with another one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

from .failure import MeasurementFailed
from .results import Failure, Results, Sample

# What one contender measured in one round, by case.
Trial = Mapping[str, Sample]


@dataclass(frozen=True)
class Contender:
    """Who is measured, and how."""

    name: str
    trial: Callable[[], Trial]


def run(results: Results, group: str, contenders: Sequence[Contender], rounds: int) -> None:
    """Measures all contenders in turns, so that what drifts over minutes drifts for all of them.

    One that fails in its first round is left out of the others; one that fails later may have met
    something passing, and goes on. Each failure is in the report.
    """
    out: set[str] = set()
    for number in range(rounds):
        first = number % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            if contender.name in out:
                continue
            progress(f"{group}: round {number + 1} of {rounds}, {contender.name}")
            try:
                trial = contender.trial()
            except Exception as failure:  # Whatever went wrong here, the others are still worth measuring.
                failed(results, group, contender.name, number + 1, failure)
                if number == 0:
                    out.add(contender.name)
                continue
            for case, sample in trial.items():
                results.add(case, contender.name, number, sample)


def failed(results: Results, group: str, contender: str, round: int, failure: Exception) -> None:
    """Keeps a failure for the report; what was not foreseen with its kind."""
    foreseen = isinstance(failure, MeasurementFailed)
    message = str(failure) if foreseen else f"{type(failure).__name__}: {failure}"
    progress(f"{group}: {contender}: {message}")
    results.failures.append(Failure(group, contender, round, message))


def progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
