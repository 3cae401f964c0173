//! Requests that run for too long.

pub(super) mod in_flight;
pub(super) mod monitor;
pub(super) mod stuck;
pub(super) mod timed_out;
