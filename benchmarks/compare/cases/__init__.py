"""The groups of measurements, each in a module of its own, in the order of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ..bench import Bench
from ..results import Results
from ..table import Table
from . import bodies, criterion, hello, kept, memory, nginx, pages, reload, start, threads, workers


@dataclass(frozen=True)
class Group:
    """One group: `name` is for the command line, `title` and `about` for the report."""

    name: str
    title: str
    about: str
    measure: Callable[[Bench], None]
    tables: Callable[[Results], list[Table]]


GROUPS = [
    Group(module.NAME, module.TITLE, module.__doc__ or "", module.measure, module.tables)
    for module in (hello, nginx, kept, threads, workers, bodies, pages, start, reload, memory, criterion)
]
