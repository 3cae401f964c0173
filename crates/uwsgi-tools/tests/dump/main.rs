//! `uwsgi-dump`, as it is run from a shell.
#![allow(clippy::unwrap_used, reason = "tests, and what only they use")]

mod captures;
mod replay;
#[path = "../support/mod.rs"]
mod support;
mod tee;

/// The command under test.
const UWSGI_DUMP: &str = env!("CARGO_BIN_EXE_uwsgi-dump");
