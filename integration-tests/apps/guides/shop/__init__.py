"""A shop, as small as can be, that is told how to report what happens in it: docs/telemetry.md quotes it."""
