//! `scoter status`.

use clap::ArgMatches;

use super::Entry;
use super::client::{self, flag, server};
use crate::control::ClientCommand;

pub(super) const STATUS: Entry = Entry {
    name: "status",
    arguments: "[NAME]",
    summary: "Show workers and rates, or list the servers; --json for programs, --ready for probes",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, read),
};

fn define() -> clap::Command {
    client::define("scoter status")
        .about(
            "Shows a running server's workers, their requests and their rates. If nothing says \
             which server, and several of yours run, lists them.",
        )
        .arg(server())
        .arg(flag("json", "Print JSON"))
        .arg(
            flag(
                "ready",
                "Exit with 0 if the server is ready, else with 1 and the reason on stderr",
            )
            .conflicts_with("json"),
        )
}

fn read(matches: &ArgMatches) -> ClientCommand {
    ClientCommand::Status {
        json: matches.get_flag("json"),
        ready: matches.get_flag("ready"),
    }
}
