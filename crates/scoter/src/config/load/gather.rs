//! Reads all sources and merges them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::dev;
use crate::config::error::{ConfigError, Problem};
use crate::config::settings::Settings;
use crate::config::sources::arguments::Arguments;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::{environment, file};
use crate::config::table::Options;
use crate::sys::working_directory::{self, working_directory};

impl Settings {
    /// Re-enters the working directory by its name, and reads all sources again.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong. A missing working directory is an error only if
    /// something is to be found in it.
    pub(crate) fn read_again(arguments: &[OsString]) -> Result<(Self, Options), ConfigError> {
        let entered = enter_directory();
        let arguments = Arguments::parse(arguments)?;
        let env = ProcessEnv::of_process();
        let is_named = file::is_named_absolutely(&arguments, &env);
        let entered = if is_named { entered } else { Ok(entered?) };
        let settings = Self::gather(&arguments, &env)?;
        let options = settings.options()?;
        if options.chdir.is_none() {
            entered?;
        }
        Ok((settings, options))
    }

    /// Re-enters the working directory by its name, before another process reads all sources.
    ///
    /// # Errors
    ///
    /// As for [`Settings::read_again`], assuming that it will read the same `options`.
    pub(crate) fn enter_directory(
        arguments: &[OsString],
        options: &Options,
    ) -> Result<(), ConfigError> {
        let entered = enter_directory();
        let arguments = Arguments::parse(arguments)?;
        let env = ProcessEnv::of_process();
        let is_named = file::is_named_absolutely(&arguments, &env);
        if is_named && options.chdir.is_some() {
            return Ok(());
        }
        entered
    }

    /// The configuration file for these arguments, whether or not it exists.
    pub(crate) fn source(arguments: &[OsString]) -> PathBuf {
        match Arguments::parse(arguments) {
            Ok(arguments) => file::path(&arguments, &ProcessEnv::of_process()),
            Err(_) => PathBuf::new(),
        }
    }

    /// Reads all sources.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong, and where. [`Settings::options`] checks the values.
    pub(crate) fn with(arguments: &Arguments) -> Result<Self, ConfigError> {
        Self::gather(arguments, &ProcessEnv::of_process())
    }

    pub(in crate::config) fn gather(
        arguments: &Arguments,
        env: &ProcessEnv,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let in_file = file::read(arguments, env, &mut problems);
        let in_environment = environment::read(env, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems));
        }
        let given = arguments.given.clone();
        let here = &env.directory;
        Ok(match &arguments.dev {
            None => Self::layered([in_file, in_environment, given], here),
            Some(_) => Self::layered(dev::layers(in_file, in_environment, given, here)?, here),
        })
    }
}

fn enter_directory() -> Result<(), ConfigError> {
    working_directory::enter_again().map_err(|error| {
        let path = working_directory().to_owned();
        Problem::Directory { path, error }.into()
    })
}

#[cfg(test)]
impl Settings {
    /// The settings from these arguments, without the program's name, and these variables.
    pub(in crate::config) fn of(
        arguments: &[&str],
        variables: &[(&str, &str)],
        directory: &std::path::Path,
    ) -> Result<Self, ConfigError> {
        let arguments = ["scoter"].iter().chain(arguments);
        let arguments: Vec<_> = arguments.map(OsString::from).collect();
        let env = ProcessEnv::of_test(directory, variables);
        Self::gather(&Arguments::parse(&arguments)?, &env)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_source_replaces_all_values_of_a_repeatable_option() {
        let folder = tempfile::tempdir().unwrap();
        let file = "allow = [\"10.0.0.0/8\", \"10.1.0.0/16\"]\n";
        fs::write(folder.path().join("scoter.toml"), file).unwrap();
        for (variables, arguments, expected) in [
            (&[][..], &[][..], &["10.0.0.0/8", "10.1.0.0/16"][..]),
            (&[("SCOTER_ALLOW", "::1, ::2")], &[], &["::1", "::2"]),
            (
                &[("SCOTER_ALLOW", "::1,::2")],
                &["--allow", "::3", "--allow", "::4"],
                &["::3", "::4"],
            ),
        ] {
            let settings = Settings::of(arguments, variables, folder.path()).unwrap();
            assert_eq!(settings.get("allow").texts, expected);
        }
    }

    #[test]
    fn flags_can_be_undone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scoter.toml"), "preload = true\n").unwrap();
        for (variables, arguments, expected) in [
            (&[][..], &["app"][..], true),
            (&[("SCOTER_PRELOAD", "false")], &["app"], false),
            (&[], &["app", "--preload=false"], false),
            (&[("SCOTER_PRELOAD", "false")], &["--preload", "app"], true),
        ] {
            let settings = Settings::of(arguments, variables, folder.path()).unwrap();
            let options = settings.options().unwrap();
            assert_eq!(options.preload, expected, "{variables:?} {arguments:?}");
        }
    }
}
