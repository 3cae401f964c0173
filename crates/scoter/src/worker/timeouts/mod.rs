//! Requests that exceed `--request-timeout`.

pub(super) mod in_flight;
pub(super) mod monitor;
pub(super) mod stuck;
pub(super) mod timed_out;
