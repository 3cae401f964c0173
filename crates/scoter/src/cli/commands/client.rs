//! What all commands for a running server have in common.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches};

use crate::cli::command::Command;
use crate::config::{Arguments, ConfigError, client_command, server_selector};
use crate::control::ClientCommand;

/// Defines a command for a running server. Its name begins with `scoter`: by default clap would
/// take the name in its messages from the first argument.
pub(super) fn define(name: &'static str) -> clap::Command {
    client_command(clap::Command::new(name).bin_name(name))
}

/// Parses the arguments of such a command.
pub(super) fn parse(
    command: clap::Command,
    arguments: &[OsString],
    read: fn(&ArgMatches) -> ClientCommand,
) -> Result<Command, ConfigError> {
    let (mut given, matches) = Arguments::parse_as(command, arguments)?;
    if let Ok(Some(name)) = matches.try_get_one::<OsString>(SERVER) {
        given.set_name(name.clone());
    }
    Ok(Command::Client(read(&matches), server_selector(&given)?))
}

/// The server's name as an argument without an option.
pub(super) fn server() -> Arg {
    Arg::new(SERVER)
        .value_name("NAME")
        .value_parser(OsStringValueParser::new())
        .conflicts_with_all(["name", "bind", "control", "config"])
        .help("The same as --name NAME")
}

const SERVER: &str = "server";

/// An option without a value.
pub(super) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}
