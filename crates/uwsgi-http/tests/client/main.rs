//! The client, against servers whose every byte a test writes.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions but not what they call"
)]

mod bodies;
mod connecting;
mod exchange;
mod kept;
mod requests;
#[path = "../common/mod.rs"]
mod server;
mod timeouts;
