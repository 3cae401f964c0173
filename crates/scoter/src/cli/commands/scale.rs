//! `scoter scale`.

use clap::{Arg, ArgMatches};

use super::Entry;
use super::client;
use crate::control::ClientCommand;

pub(super) const SCALE: Entry = Entry {
    name: "scale",
    arguments: "N",
    summary: "Change the number of workers",
    define: |_| define(),
    parse: |command, arguments| client::parse(command, arguments, read),
};

fn define() -> clap::Command {
    client::define("scoter scale")
        .about("Sets the number of workers.")
        .arg(
            Arg::new("N")
                .required(true)
                .allow_negative_numbers(true)
                .value_parser(number_of_workers)
                .help("Number of workers, from 1 to 1024"),
        )
}

fn number_of_workers(text: &str) -> Result<u32, &'static str> {
    let number = text.parse().ok();
    number.filter(|number| (1..=1024).contains(number)).ok_or(
        "expected a whole number from 1 to 1024; for a range, set --workers MIN..MAX and reload",
    )
}

fn read(matches: &ArgMatches) -> ClientCommand {
    let workers = matches.get_one("N").copied();
    ClientCommand::Scale(workers.expect("clap requires it"))
}
