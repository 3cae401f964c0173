//! The commands, which are the first argument.
//!
//! A command is one entry of [`COMMANDS`], with a file of its own. What needs to know the commands
//! takes them from there: the parser, the help, the tips for
//! mistyped words, completion and man pages.

mod check;
mod client;
mod completion;
mod dev;
mod man;
mod migrate;
mod reload;
mod scale;
mod stacks;
mod status;
mod stop;
mod top;
mod uwsgi;

use std::ffi::OsString;

use super::command::Command;
use crate::config::{ConfigError, HelpLevel};

/// A command.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// What follows the name in the list of commands.
    arguments: &'static str,
    /// What it does, in the list of commands.
    pub(super) summary: &'static str,
    /// Its definition for clap, which differs if it takes the options of a server.
    pub(super) define: fn(HelpLevel) -> clap::Command,
    /// Parses its arguments, the first of which is its name, by its definition.
    parse: fn(clap::Command, &[OsString]) -> Result<Command, ConfigError>,
}

impl Entry {
    /// Parses its arguments, the first of which is its name.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] lists every mistake. It also carries the help of commands for a running
    /// server.
    pub(super) fn parse(&self, arguments: &[OsString]) -> Result<Command, ConfigError> {
        (self.parse)((self.define)(HelpLevel::None), arguments)
    }

    /// How to call it, such as `scale N`.
    pub(super) fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments)
            .trim_end()
            .to_owned()
    }
}

/// All commands, in the order of the help.
pub(super) const COMMANDS: &[Entry] = &[
    check::CHECK,
    dev::DEV,
    status::STATUS,
    stacks::STACKS,
    reload::RELOAD,
    stop::STOP,
    scale::SCALE,
    top::TOP,
    migrate::MIGRATE,
    uwsgi::UWSGI,
    completion::COMPLETION,
    man::MAN,
];
