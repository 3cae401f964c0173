"""What was measured: a value for each case, contender, metric and round, and what is made of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Callable, Mapping

Sample = Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """A median with its spread: the least and the greatest value of all rounds."""

    median: float
    least: float
    greatest: float
    rounds: int

    @classmethod
    def of(cls, values: list[float]) -> Summary | None:
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Failure:
    """A contender that could not be measured, and its message."""

    group: str
    contender: str
    round: int
    message: str


@dataclass
class Results:
    """All values by case, contender and metric; each list has one place for each round."""

    values: dict[str, dict[str, dict[str, dict[int, float]]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, case: str, contender: str, round: int, sample: Sample) -> None:
        metrics = self.values.setdefault(case, {}).setdefault(contender, {})
        for metric, value in sample.items():
            metrics.setdefault(metric, {})[round] = value

    def contenders(self, case: str) -> list[str]:
        return list(self.values.get(case, {}))

    def by_round(self, case: str, contender: str, metric: str) -> dict[int, float]:
        return self.values.get(case, {}).get(contender, {}).get(metric, {})

    def summary(self, case: str, contender: str, metric: str) -> Summary | None:
        return Summary.of(list(self.by_round(case, contender, metric).values()))

    def paired(
        self, one: tuple[str, str, str], other: tuple[str, str, str], combine: Callable[[float, float], float]
    ) -> Summary | None:
        """Combines two series round by round: what disturbs a whole round then disturbs both."""
        left, right = self.by_round(*one), self.by_round(*other)
        return Summary.of(
            [combine(left[round], right[round]) for round in sorted(left.keys() & right.keys())]
        )

    def ratio(self, case: str, contender: str, to: str, metric: str) -> Summary | None:
        """Returns the median of the ratios of each round, not the ratio of the medians."""
        return self.paired((case, contender, metric), (case, to, metric), quotient)

    def difference(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> Summary | None:
        return self.paired(one, other, lambda left, right: left - right)

    def as_json(self) -> dict[str, object]:
        """Returns every value of every round, and the summary of each series."""
        return {
            case: {
                contender: {
                    metric: {
                        "rounds": list(by_round.values()),
                        "median": statistics.median(by_round.values()),
                        "min": min(by_round.values()),
                        "max": max(by_round.values()),
                    }
                    for metric, by_round in metrics.items()
                }
                for contender, metrics in contenders.items()
            }
            for case, contenders in self.values.items()
        }


def quotient(left: float, right: float) -> float:
    return left / right if right else float("nan")
