"""Times of the day, as uWSGI's ``cron`` has them."""

from time import struct_time


class Cron:
    """Raises a signal in each minute that matches.

    A field that is not negative is the value itself, -1 any value, and -N every N-th. Sunday is 0, or 7.
    If both the day of the month and that of the week are given, one of them is enough.
    """

    def __init__(self, signum: int, minute: int, hour: int, day: int, month: int, week: int) -> None:
        self.signum = signum
        self.minute = minute
        self.hour = hour
        self.day = day
        self.month = month
        self.week = week

    def matches(self, now: struct_time) -> bool:
        weekday = (now.tm_wday + 1) % 7
        day = _matches(self.day, now.tm_mday)
        week = _matches(self.week, weekday) or (self.week == 7 and weekday == 0)
        is_day = day or week if self.day >= 0 and self.week >= 0 else day and week
        return (
            _matches(self.minute, now.tm_min)
            and _matches(self.hour, now.tm_hour)
            and _matches(self.month, now.tm_mon)
            and is_day
        )


def _matches(field: int, value: int) -> bool:
    return value % -field == 0 if field < 0 else value == field
