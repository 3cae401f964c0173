//! `scoter check`.

use std::ffi::OsString;

use super::Entry;
use super::client::flag;
use crate::cli::check::Extent;
use crate::cli::command::Command;
use crate::config::{Arguments, ConfigError, HelpLevel, Settings, server_command};

pub(super) const CHECK: Entry = Entry {
    name: "check",
    arguments: "",
    summary: "Load the configuration and the application as a start would, and report what is wrong",
    define,
    parse,
};

fn define(level: HelpLevel) -> clap::Command {
    server_command(level)
        .name("scoter check")
        .about(
            "Loads the configuration and the application as a start with the same options would, \
             and reports what is wrong.",
        )
        .override_usage("scoter check [OPTIONS] [APP]")
        .after_help("Exit codes: 0 fine, 1 the system does not allow it (the open file limit, for instance), 2 the \
             configuration is wrong, 3 the application is.")
        .arg(flag(CONFIGURATION_ONLY, "Do not load the application").hide(true))
}

fn parse(command: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let (given, matches) = Arguments::parse_as(command, arguments)?;
    if let Some(action) = given.action {
        return Command::perform(action, &given, define);
    }
    let extent = if matches.get_flag(CONFIGURATION_ONLY) {
        Extent::Configuration
    } else {
        Extent::Everything
    };
    Ok(Command::Check(Settings::with(&given)?, extent))
}

const CONFIGURATION_ONLY: &str = "configuration-only";
