//! `scoter man`.

use std::ffi::OsString;

use clap::Arg;
use clap::builder::PossibleValuesParser;

use super::{COMMANDS, Entry};
use crate::cli::command::Command;
use crate::config::ConfigError;

pub(super) const MAN: Entry = Entry {
    name: "man",
    arguments: "[COMMAND]",
    summary: "Print the man page of scoter or of a command: scoter man | man -l -",
    define: |_| define(),
    parse,
};

fn define() -> clap::Command {
    let names = PossibleValuesParser::new(COMMANDS.iter().map(|entry| entry.name));
    clap::Command::new("scoter man")
        .bin_name("scoter man")
        .about("Prints a man page, as man(1) reads it.")
        .after_help("To read it: scoter man | man -l -")
        .arg(
            Arg::new(COMMAND)
                .value_name("COMMAND")
                .value_parser(names)
                .help("The command whose page to print"),
        )
}

fn parse(command: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let matches = command.try_get_matches_from(arguments)?;
    Ok(Command::Man(matches.get_one::<String>(COMMAND).cloned()))
}

const COMMAND: &str = "command";
