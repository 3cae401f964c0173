//! `scoter dev`.

use std::ffi::OsString;

use super::Entry;
use crate::cli::command::Command;
use crate::config::{Arguments, ConfigError, HelpLevel, Settings, dev_command};

pub(super) const DEV: Entry = Entry {
    name: "dev",
    arguments: "[APP]",
    summary: "Serve HTTP to the developer who edits the application: reload on save, show tracebacks",
    define,
    parse,
};

fn define(level: HelpLevel) -> clap::Command {
    let command = dev_command(level)
        .about(
            "Serves a Python WSGI application over HTTP to the developer who edits it: reloads when \
             an imported file changes, and shows tracebacks in the browser.",
        )
        .override_usage("scoter dev [OPTIONS] [APP]");
    match level {
        HelpLevel::None => command,
        HelpLevel::Short | HelpLevel::Full => command.after_help(AFTER_HELP),
    }
}

fn parse(command: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let given = Arguments::parse_dev(command, arguments)?;
    if let Some(action) = given.action {
        return Command::perform(action, &given, define);
    }
    let settings = Settings::with(&given)?;
    Ok(Command::Dev(settings, given.dev.unwrap_or_default()))
}

const AFTER_HELP: &str = "\
Without APP it serves the WSGI module of manage.py, or else wsgi.py or app.py. Of scoter.toml and \
SCOTER_ variables it takes what says what the application is: the options under Application and \
Requests. The other defaults are those of development: --workers 1, --graceful-timeout 1s, \
--access-log-format terminal.

Example: scoter dev app:app --watch templates";
