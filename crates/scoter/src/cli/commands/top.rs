//! `scoter top`.

use super::Entry;
use super::client;
use crate::control::ClientCommand;

pub(super) const TOP: Entry = Entry {
    name: "top",
    arguments: "",
    summary: "Show running requests, live",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, |_| ClientCommand::Top),
};

fn define() -> clap::Command {
    client::define("scoter top").about(
        "Shows rates, latency, workers and running requests, live, until q is pressed. Without a \
             terminal it prints them once.",
    )
}
