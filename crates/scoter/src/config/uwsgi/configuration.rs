//! What was read of uWSGI's configuration.

use std::path::PathBuf;

use super::directive::Directive;
use super::language::{self, Input, LocalSystem, System};
use super::module_settings::module_settings;
use super::translate::{Context, Starter, translate};
use super::translation::Note;
use crate::config::error::Problem;
use crate::config::settings::Setting;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::uwsgi_call::UwsgiCall;
use crate::program::prefix;

/// What was read of uWSGI's configuration, beside the settings that it became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UwsgiConfiguration {
    /// In the order in which uWSGI applies them.
    pub(crate) directives: Vec<Directive>,
    /// What is to be said about them.
    pub(crate) notes: Vec<Note>,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// What the reader says about how it is written.
    pub(crate) warnings: Vec<String>,
}

impl UwsgiConfiguration {
    /// The value of a directive that stands alone: the last one counts.
    pub(super) fn last_value(&self, key: &str) -> Option<&str> {
        let mut found = self.directives.iter().rev().filter(|it| it.key == key);
        found.find_map(|it| it.value.as_deref())
    }
}

/// Reads what the call names, and the `UWSGI_` variables, and translates it for a server.
///
/// # Errors
///
/// [`Problem::Uwsgi`], where uWSGI would not start either.
pub(in crate::config) fn take(
    call: &UwsgiCall,
    env: &ProcessEnv,
) -> Result<(Vec<Setting>, UwsgiConfiguration), Problem> {
    let starter = match nix::unistd::geteuid().is_root() {
        true => Starter::Root,
        false => Starter::User,
    };
    let (mut settings, configuration) = translated(call, env, starter)?;
    settings.extend(module_settings(&configuration.directives));
    Ok((settings, configuration))
}

/// Reads the same, and translates it for a server that is started by this user.
///
/// # Errors
///
/// As [`take`].
pub(super) fn translated(
    call: &UwsgiCall,
    env: &ProcessEnv,
    starter: Starter,
) -> Result<(Vec<Setting>, UwsgiConfiguration), Problem> {
    let system = LocalSystem {
        directory: env.directory.clone(),
    };
    let reading = language::read(&Input {
        arguments: &call.arguments,
        environment: &env.variables,
        system: &system,
    })
    .map_err(|error| Problem::Uwsgi {
        message: error.to_string(),
    })?;
    let context = Context {
        placeholders: &reading.placeholders,
        prefix: prefix(),
        starter,
        glob: &|pattern| system.glob(pattern, MAX_MATCHES),
    };
    let translation = translate(&reading.directives, &context);
    let configuration = UwsgiConfiguration {
        directives: reading.directives,
        notes: translation.notes,
        files: reading.files,
        warnings: reading.warnings.iter().map(ToString::to_string).collect(),
    };
    Ok((translation.settings, configuration))
}

/// Paths that a pattern may match.
const MAX_MATCHES: usize = 1000;
