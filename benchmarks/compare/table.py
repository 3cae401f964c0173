"""Tables of the report: medians with their spread, as Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Iterable, Sequence

from .results import Results, Summary

NOTHING = "–"
NUMERIC = re.compile(rf"(-?\d|{NOTHING}|$)")


@dataclass
class Table:
    """A table with a title, and what has to be said about it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    note: str = ""

    def markdown(self) -> str:
        lines = [f"**{self.title}**", ""] if self.title else []
        lines += ["| " + " | ".join(self.header) + " |", f"|{'|'.join(self.alignment())}|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines + (["", self.note] if self.note else [])) + "\n"


    def alignment(self) -> list[str]:
        """Puts columns of numbers to the right and those of words to the left."""
        columns = ([row[index] for row in self.rows] for index in range(len(self.header)))
        return ["--:" if all(NUMERIC.match(cell) for cell in column) else "---" for column in columns]


@dataclass(frozen=True)
class Column:
    """One metric of a table whose rows are contenders."""

    heading: str
    metric: str
    digits: int = 1
    scale: float = 1.0


def of_contenders(
    results: Results,
    title: str,
    case: str,
    columns: Sequence[Column],
    ratios: Iterable[tuple[str, str, str]] = (),
    note: str = "",
) -> Table | None:
    """Makes a table with a row for each contender; none if nobody was measured.

    Each of `ratios` is a heading, a metric and the contender to compare with.
    """
    contenders = results.contenders(case)
    if not contenders:
        return None
    kept = [(heading, metric, to) for heading, metric, to in ratios if to in contenders]
    rows = [
        [
            contender,
            *(
                spread(results.summary(case, contender, column.metric), column.digits, column.scale)
                for column in columns
            ),
            *(spread(results.ratio(case, contender, to, metric), 2) for _, metric, to in kept),
        ]
        for contender in contenders
    ]
    header = ["", *(column.heading for column in columns), *(heading for heading, _, _ in kept)]
    return Table(title, header, rows, note)


def spread(summary: Summary | None, digits: int = 1, scale: float = 1.0) -> str:
    """Returns "median (least–greatest)"."""
    if summary is None:
        return NOTHING
    median, least, greatest = (
        number(value * scale, digits) for value in (summary.median, summary.least, summary.greatest)
    )
    return median if least == greatest else f"{median} ({least}–{greatest})"


def number(value: float, digits: int = 1) -> str:
    """Returns a number with thousands apart, and with no more digits than it has to say."""
    return f"{value:,.{digits}f}".replace(",", " ")


def present(*tables: Table | None) -> list[Table]:
    """Leaves out the tables that have nothing to show."""
    return [table for table in tables if table is not None]


MakesTables = Callable[[Results], list[Table]]
