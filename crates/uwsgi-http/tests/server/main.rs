//! A server for tower services, as a front end sees it.

#![expect(
    clippy::unwrap_used,
    reason = "functions that tests share are no tests to clippy"
)]

mod bodies;
mod harness;
mod kept;
mod leaving;
mod refusals;
mod responses;
mod stopping;
