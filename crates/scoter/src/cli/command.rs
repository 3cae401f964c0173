//! What the arguments ask for.

use clap_complete::Shell;

use super::check::Extent;
use super::migrate::Request;
use crate::config::{Action, Arguments, ConfigError, DevArguments, HelpLevel, Settings};
use crate::control::{ClientCommand, ServerSelector};

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Command {
    /// Print this help.
    Help(Box<clap::Command>),
    /// Print the configuration, as a file.
    PrintConfig(Settings),
    /// Serve.
    Serve(Settings),
    /// Serve a developer.
    Dev(Settings, DevArguments),
    /// Report whether a start would succeed.
    Check(Settings, Extent),
    /// Make a `scoter.toml` of uWSGI's configuration.
    Migrate(Request),
    /// Print the completion of a shell.
    Completion(Shell),
    /// Print the man page of `scoter`, or of a command.
    Man(Option<String>),
    /// Send a command to a running server.
    Client(ClientCommand, ServerSelector),
}

impl Command {
    /// What an option such as `--help` asks for in place of serving or checking.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if the configuration cannot be read for `--print-config`.
    pub(super) fn perform(
        action: Action,
        given: &Arguments,
        define: fn(HelpLevel) -> clap::Command,
    ) -> Result<Self, ConfigError> {
        Ok(match action {
            Action::ShortHelp => Self::Help(Box::new(define(HelpLevel::Short))),
            Action::Help => Self::Help(Box::new(define(HelpLevel::Full))),
            Action::PrintConfig => {
                let settings = Settings::with(given)?;
                settings.check_all_but_app()?;
                Self::PrintConfig(settings)
            }
        })
    }
}
