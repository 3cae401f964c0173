//! `uwsgi-curl`, as it is run from a shell.
#![allow(clippy::unwrap_used, reason = "tests, and what only they use")]

mod failures;
mod ping;
mod replies;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use std::process::Output;

use crate::support::{Folder, Received, run, run_with_input, serve_bytes, stderr};

/// The command under test.
const UWSGI_CURL: &str = env!("CARGO_BIN_EXE_uwsgi-curl");

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Runs the command against a server that answers with these bytes.
fn curl(answer: &'static [u8], arguments: &[&str]) -> Output {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), answer);
    run(
        UWSGI_CURL,
        &[&[folder.text("server").as_str()], arguments].concat(),
    )
}

/// Runs the command, and returns what the server was sent.
#[track_caller]
fn sent(arguments: &[&str], input: &[u8]) -> Received {
    let folder = Folder::new();
    let received = serve_bytes(&folder.path("server"), HELLO);
    let server = folder.text("server");
    let arguments = [&[server.as_str()], arguments].concat();
    let output = run_with_input(UWSGI_CURL, &arguments, input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    received.recv().unwrap()
}
