//! `scoter stop`.

use super::Entry;
use super::client;
use crate::control::ClientCommand;

pub(super) const STOP: Entry = Entry {
    name: "stop",
    arguments: "",
    summary: "Stop gracefully: running requests finish first",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, |_| ClientCommand::Stop),
};

fn define() -> clap::Command {
    client::define("scoter stop")
        .about("Stops a server gracefully, and waits until it has stopped.")
}
