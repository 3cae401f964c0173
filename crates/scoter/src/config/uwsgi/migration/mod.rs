//! `scoter migrate`: files that take the place of uWSGI's configuration, and a report of what changes.
//!
//! Nothing here reads or writes a file.

mod relative;
mod snippets;
#[cfg(test)]
mod tests;
mod toml;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::configuration::{UwsgiConfiguration, translated};
use super::module_settings::module_settings;
use super::translate::Starter;
use super::translation::Kind;
use crate::config::environment::EnvFile;
use crate::config::error::{ConfigError, Problem};
use crate::config::settings::Settings;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::uwsgi_call::UwsgiCall;
use crate::config::table::Options;

/// uWSGI's configuration in scoter's words.
#[derive(Debug)]
pub(crate) struct Migration {
    /// All settings, of which those that are not defaults come from uWSGI's configuration.
    settings: Settings,
    configuration: UwsgiConfiguration,
}

/// A file to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Migration {
    /// Reads what the call names, with variables from these files besides those of the process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] says what cannot be read.
    pub(crate) fn of(call: &UwsgiCall, env_files: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut env = ProcessEnv::of_process();
        for path in env_files {
            let variables = variables_in(&env.directory.join(path))?;
            env.variables
                .retain(|(name, _)| variables.iter().all(|(other, _)| other != name));
            env.variables.extend(variables);
        }
        let (mut translated, configuration) = translated(call, &env, Starter::Root)?;
        // What uWSGI does not know is there for the application, or a mistake.
        let notes = configuration.notes.iter();
        let unknown = notes.filter(|note| note.kind == Kind::Unknown);
        translated.extend(module_settings(unknown.flat_map(|note| &note.directives)));
        Ok(Self {
            settings: Settings::layered([translated], &env.directory),
            configuration,
        })
    }

    /// The values of the result.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names what a server would refuse, as uWSGI's configuration has it.
    pub(crate) fn options(&self) -> Result<Options, ConfigError> {
        self.settings.options()
    }

    /// The options of the result that have no effect, as [`Settings::without_effect`] has them.
    pub(crate) fn without_effect(&self, options: &Options) -> Vec<String> {
        self.settings.without_effect(options)
    }

    /// Whether there is nothing to migrate.
    pub(crate) fn is_empty(&self) -> bool {
        self.configuration.directives.is_empty()
    }

    /// The files for this directory, `scoter.toml` first. Paths in the directory are written relative
    /// to it.
    pub(crate) fn files(&self, directory: &Path) -> Vec<NewFile> {
        let toml = NewFile {
            name: SCOTER_TOML.to_owned(),
            text: toml::text(&self.settings, &self.configuration, Some(directory)),
        };
        let others = snippets::files(&self.configuration);
        std::iter::once(toml).chain(others).collect()
    }

    /// The text of a `scoter.toml` that means the same anywhere.
    pub(crate) fn absolute_toml(&self) -> String {
        toml::text(&self.settings, &self.configuration, None)
    }

    /// What changes, for people.
    pub(crate) fn report(&self) -> String {
        self.configuration.report()
    }

    /// Whether behaviour is lost.
    pub(crate) fn loses_behaviour(&self) -> bool {
        let mut notes = self.configuration.notes.iter();
        notes.any(|note| note.kind == Kind::Lost)
    }

    /// The directory of Python's environment that uWSGI is told to use.
    pub(crate) fn virtual_env(&self) -> Option<PathBuf> {
        let value = |key| self.configuration.last_value(key);
        VIRTUAL_ENV
            .iter()
            .find_map(|key| value(key))
            .map(PathBuf::from)
    }
}

fn variables_in(path: &Path) -> Result<Vec<(OsString, OsString)>, ConfigError> {
    let file = EnvFile::read(path).map_err(|error| Problem::UnreadableVariables {
        path: path.to_owned(),
        error,
    })?;
    let (variables, mistakes) = file.variables();
    if !mistakes.is_empty() {
        return Err(ConfigError::Problems(mistakes));
    }
    let pairs = variables.into_iter().map(|it| (it.name.into(), it.value));
    Ok(pairs.collect())
}

/// The names of uWSGI's option for Python's environment (`plugins/python/python_plugin.c`).
const VIRTUAL_ENV: [&str; 5] = ["home", "virtualenv", "venv", "pyhome", "H"];

/// The file that is read by default.
const SCOTER_TOML: &str = "scoter.toml";
