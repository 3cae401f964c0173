"""Turns: a measurement that is made in pieces, between which it may be another's turn."""

from __future__ import annotations

from typing import Callable, Generator, Sequence, TypeVar

T = TypeVar("T")

# Yields wherever another one may have its turn, and returns what came of all.
Turns = Generator[None, None, T]


def alone(measure: Callable[[], T]) -> Callable[[], Turns[T]]:
    """Makes a whole measurement one turn: nobody else is up while it lasts."""

    def turns() -> Turns[T]:
        yield from ()
        return measure()

    return turns


def in_one_go(turns: Turns[T]) -> T:
    """Takes all turns, one directly after the other."""
    while True:
        try:
            next(turns)
        except StopIteration as ended:
            result: T = ended.value
            return result


def rotated(items: Sequence[T], by: int) -> list[T]:
    """Returns them in their order, but beginning with another one."""
    first = by % len(items) if items else 0
    return [*items[first:], *items[:first]]
