"""What went wrong with one measurement, in words for the report."""

from __future__ import annotations


class MeasurementFailed(Exception):
    """One contender could not be measured; the others go on, and the report carries the message."""
