"""Timers."""

from typing import Optional


class Timer:
    """Raises a signal every so many seconds, so many times, or for ever if ``iterations`` is 0."""

    def __init__(self, signum: int, seconds: int, iterations: int = 0) -> None:
        self.signum = signum
        self.interval = seconds * 1_000_000_000
        self.left = iterations if iterations > 0 else None
        # When it is due, in nanoseconds of the monotonic clock. Unknown before its worker is elected.
        self.next: Optional[int] = None

    def resume(self, last: int, now: int) -> None:
        """Go on from when it was last due in whichever worker; ``0`` if it never was."""
        is_known = 0 < last <= now
        self.next = max(last + self.interval, now) if is_known else now + self.interval

    def is_due(self, now: int) -> bool:
        return self.next is not None and self.next <= now

    def advance(self, now: int) -> int:
        """Set the next time, and return the one that has come. Times that were missed are left out."""
        due = self.next if self.next is not None else now
        due += (now - due) // self.interval * self.interval
        self.next = due + self.interval
        if self.left is not None:
            self.left -= 1
        return due

    def is_over(self) -> bool:
        return self.left == 0

    def seconds_left(self, now: int) -> float:
        return 0.0 if self.next is None else max(self.next - now, 0) / 1e9
