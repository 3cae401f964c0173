//! The help of `scoter` itself: the options, the commands, and what all options have in common.

use std::fmt::Write;

use super::commands::COMMANDS;
use crate::config::{HelpLevel, server_command};

/// The definition of `scoter [OPTIONS] APP` with the text after its options.
pub(super) fn server(level: HelpLevel) -> clap::Command {
    let command = server_command(level);
    match level {
        HelpLevel::None => command,
        HelpLevel::Short => command.after_help(AFTER_SHORT_HELP),
        HelpLevel::Full => command.after_help(format!(
            "Commands, as the first argument:\n{}\n{AFTER_COMMANDS}",
            command_list()
        )),
    }
}

/// A line for each command.
fn command_list() -> String {
    let usages = COMMANDS.iter().map(|entry| entry.usage().len());
    let width = usages.max().unwrap_or_default();
    COMMANDS.iter().fold(String::new(), |mut list, entry| {
        let _ = writeln!(list, "  {:width$}  {}", entry.usage(), entry.summary);
        list
    })
}

const AFTER_SHORT_HELP: &str = "\
Example: scoter myproject.wsgi --bind unix:/run/scoter/scoter.sock
All options and commands: scoter --help";

const AFTER_COMMANDS: &str = "\
TIME is 500ms, 30s, 5m, 2h or 7d; a bare number is seconds. SIZE is bytes, or 64K, 1M, 2G (powers \
of 1024). An option without a default is off or unset.

Options can also be set in scoter.toml (request-timeout = \"30s\", paths relative to the file) or in \
the environment (SCOTER_REQUEST_TIMEOUT=30s; separate several values with commas). The command line \
overrides the environment, which overrides the file.

Example: scoter myproject.wsgi --bind unix:/run/scoter/scoter.sock";
