//! `scoter reload`.

use clap::ArgMatches;

use super::Entry;
use super::client::{self, flag};
use crate::control::ClientCommand;

pub(super) const RELOAD: Entry = Entry {
    name: "reload",
    arguments: "",
    summary: "Start workers with the new code, and retire the old ones once these are ready",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, read),
};

fn define() -> clap::Command {
    client::define("scoter reload")
        .about(
            "Starts workers with the current code and configuration, and retires the old ones \
             once these are ready. If the new code fails, the old workers continue to serve.",
        )
        .arg(flag(
            "upgrade",
            "Also replace scoter itself with the installed release",
        ))
}

fn read(matches: &ArgMatches) -> ClientCommand {
    ClientCommand::Reload {
        upgrade: matches.get_flag("upgrade"),
    }
}
