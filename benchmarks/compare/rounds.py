"""Rounds: in each of them every contender is measured once, started afresh.

In most groups it is alone: started, measured and stopped before the next one. In those where a few per cent
matter all contenders of a round are up together, and are measured in turns so short that what disturbs the
machine disturbs all of them. In both cases each round, and each turn, begins with another contender.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

from .failure import MeasurementFailed
from .results import Failure, Results, Sample
from .turns import Turns, rotated

# What one contender measured in one round, by case.
Trial = Mapping[str, Sample]


@dataclass(frozen=True)
class Contender:
    """Who is measured, and how. `variant` tells it from another contender of the same name."""

    name: str
    trial: Callable[[], Turns[Trial]]
    variant: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} {self.variant}".strip()


def run(results: Results, group: str, contenders: Sequence[Contender], rounds: int) -> None:
    """Measures all contenders in turns, so that what drifts over minutes drifts for all of them.

    One that fails in its first round is left out of the others; one that fails later may have met
    something passing, and goes on. Each failure is in the report.
    """
    able = list(contenders)
    for number in range(rounds):
        lost = play(results, group, able, number, rounds)
        if number == 0:
            able = [contender for contender in able if contender not in lost]


def play(
    results: Results, group: str, contenders: Sequence[Contender], number: int, rounds: int
) -> list[Contender]:
    """Plays one round until each contender has had all its turns; returns those that failed."""
    trials: dict[Contender, Trial] = {}
    lost: list[Contender] = []
    with ExitStack() as stack:
        turns = {contender: stack.enter_context(closing(contender.trial())) for contender in contenders}
        waiting, turn = list(contenders), 0
        while waiting:
            for contender in rotated(waiting, number + turn):
                if turn == 0:
                    progress(f"{group}: round {number + 1} of {rounds}, {contender.title}")
                try:
                    next(turns[contender])
                    continue
                except StopIteration as ended:
                    trials[contender] = ended.value
                except Exception as failure:  # Whatever went wrong, the others are still worth measuring.
                    failed(results, group, contender.title, number + 1, failure)
                    lost.append(contender)
                waiting.remove(contender)
            turn += 1
    # In their own order, which the tables keep: who was the first to end is chance.
    for contender in contenders:
        for case, sample in trials.get(contender, {}).items():
            results.add(case, contender.name, number, sample)
    return lost


def failed(results: Results, group: str, contender: str, round: int, failure: Exception) -> None:
    """Keeps a failure for the report; what was not foreseen with its kind."""
    foreseen = isinstance(failure, MeasurementFailed)
    message = str(failure) if foreseen else f"{type(failure).__name__}: {failure}"
    progress(f"{group}: {contender}: {message}")
    results.failures.append(Failure(group, contender, round, message))


def progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
