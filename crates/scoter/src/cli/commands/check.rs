//! `scoter check`.

use std::ffi::OsString;

use super::Entry;
use super::client::flag;
use crate::cli::check::Extent;
use crate::cli::command::Command;
use crate::config::{Arguments, ConfigError, HelpLevel, Settings, UWSGI, server_command};

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
    if let Some((extent, given)) = of_uwsgi(arguments) {
        return Ok(Command::Check(Settings::with(&given)?, extent));
    }
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

/// `scoter check uwsgi …`, which checks what `scoter uwsgi …` would do.
fn of_uwsgi(arguments: &[OsString]) -> Option<(Extent, Arguments)> {
    let (first, rest) = arguments.get(1..)?.split_first()?;
    let is_flag = first.to_str().and_then(|it| it.strip_prefix("--")) == Some(CONFIGURATION_ONLY);
    let (extent, words) = if is_flag {
        (Extent::Configuration, rest)
    } else {
        (Extent::Everything, arguments.get(1..)?)
    };
    let (command, theirs) = words.split_first()?;
    (command == UWSGI).then(|| (extent, Arguments::of_uwsgi(theirs)))
}

pub(super) const CONFIGURATION_ONLY: &str = "configuration-only";
