//! The gateway, in front of servers whose every byte a test writes.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions but not what they call"
)]

mod bodies;
mod client;
mod errors;
mod front;
mod requests;
#[path = "../common/mod.rs"]
mod server;
mod stop;
