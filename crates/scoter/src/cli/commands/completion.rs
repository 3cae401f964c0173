//! `scoter completion`.

use std::ffi::OsString;

use clap::Arg;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap_complete::Shell;

use super::Entry;
use crate::cli::command::Command;
use crate::config::ConfigError;

pub(super) const COMPLETION: Entry = Entry {
    name: "completion",
    arguments: "SHELL",
    summary: "Print a script with which bash, zsh or fish completes commands and options",
    define: |_| define(),
    parse,
};

fn define() -> clap::Command {
    let shells = PossibleValuesParser::new(["bash", "zsh", "fish"]);
    clap::Command::new("scoter completion")
        .bin_name("scoter completion")
        .about("Prints a script with which a shell completes commands and options.")
        .after_help("For bash: source <(scoter completion bash)")
        .arg(
            Arg::new(SHELL)
                .value_name("SHELL")
                .required(true)
                .value_parser(shells.try_map(|name| name.parse::<Shell>())),
        )
}

fn parse(command: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let matches = command.try_get_matches_from(arguments)?;
    let shell = matches.get_one::<Shell>(SHELL).copied();
    Ok(Command::Completion(shell.expect("clap requires it")))
}

const SHELL: &str = "shell";
