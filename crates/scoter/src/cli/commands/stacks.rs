//! `scoter stacks`.

use clap::{Arg, ArgMatches};

use super::Entry;
use super::client::{self, flag};
use crate::control::ClientCommand;

pub(super) const STACKS: Entry = Entry {
    name: "stacks",
    arguments: "",
    summary: "Show where all Python threads are and what each serves; --worker N for one worker",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, read),
};

fn define() -> clap::Command {
    client::define("scoter stacks")
        .about(
            "Shows where the Python threads of a running server are, and which request each of \
             them serves, since when.",
        )
        .arg(
            Arg::new("worker")
                .long("worker")
                .value_name("N")
                .value_parser(clap::value_parser!(u32))
                .help("Only those of this worker, by its number in scoter status"),
        )
        .arg(flag("json", "Print JSON"))
}

fn read(matches: &ArgMatches) -> ClientCommand {
    ClientCommand::Stacks {
        worker: matches.get_one("worker").copied(),
        json: matches.get_flag("json"),
    }
}
