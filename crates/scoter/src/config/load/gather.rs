//! Reads all sources and merges them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::dev;
use crate::config::error::{APP, ConfigError, Problem};
use crate::config::origin::Origin;
use crate::config::settings::{Setting, Settings};
use crate::config::sources::arguments::Arguments;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::uwsgi_call::UwsgiCall;
use crate::config::sources::{environment, file};
use crate::config::table::Options;
use crate::config::uwsgi::{self, Sockets, UwsgiConfiguration};
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
        let is_named = is_named_absolutely(&arguments, &env);
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
        let is_named = is_named_absolutely(&arguments, &env);
        if is_named && options.chdir.is_some() {
            return Ok(());
        }
        entered
    }

    /// The configuration file for these arguments, whether or not it exists.
    pub(crate) fn source(arguments: &[OsString]) -> PathBuf {
        let Ok(arguments) = Arguments::parse(arguments) else {
            return PathBuf::new();
        };
        let env = ProcessEnv::of_process();
        let of_uwsgi = uwsgi_call(&arguments, &env).and_then(|call| call.file());
        of_uwsgi.map_or_else(
            || file::path(&arguments, &env),
            |file| env.directory.join(file),
        )
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
        let InFiles {
            translated,
            uwsgi,
            in_file,
            unread,
        } = InFiles::read(arguments, env, &mut problems);
        let in_environment = environment::read(env, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems));
        }
        let mut given = arguments.given.clone();
        given.retain(|setting| !UwsgiCall::is_app(setting, &env.directory));
        let configured = [translated, in_file, in_environment];
        let here = &env.directory;
        let mut settings = match &arguments.dev {
            None => Self::layered(configured.into_iter().chain([given]), here),
            Some(_) => Self::layered(dev::layers(configured, given, here)?, here),
        };
        let bind = settings.get("bind");
        let is_told = match &bind.origin {
            Origin::Uwsgi(directives) => directives.iter().any(|it| !uwsgi::speaks_other(it)),
            _ => !bind.texts.is_empty(),
        };
        let sockets = match is_told || env.variable(INHERITED).is_some() {
            true => Sockets::Some,
            false => Sockets::None,
        };
        settings.uwsgi = uwsgi.map(|uwsgi| uwsgi.commentary(sockets));
        if let (Some(said), Some(unread)) = (&mut settings.uwsgi, unread) {
            said.summary += &format!("; {unread} is not read beside it, unless --config names it");
        }
        Ok(settings)
    }
}

/// systemd's variable for the sockets that it passes on.
const INHERITED: &str = "LISTEN_FDS";

/// Whether it does not depend on the working directory what is read.
fn is_named_absolutely(arguments: &Arguments, env: &ProcessEnv) -> bool {
    match uwsgi_call(arguments, env) {
        Some(call) => call.is_absolute(),
        None => file::is_named_absolutely(arguments, env),
    }
}

/// What files say.
#[derive(Debug, Default)]
pub(super) struct InFiles {
    /// The settings that uWSGI's configuration became.
    pub(super) translated: Vec<Setting>,
    uwsgi: Option<UwsgiConfiguration>,
    /// The settings in `scoter.toml`, which override the translated ones.
    pub(super) in_file: Vec<Setting>,
    /// A file that is there and does not count.
    unread: Option<&'static str>,
}

impl InFiles {
    pub(super) fn read(
        arguments: &Arguments,
        env: &ProcessEnv,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let Some(call) = uwsgi_call(arguments, env) else {
            return Self {
                in_file: file::read(arguments, env, problems),
                ..Self::default()
            };
        };
        let mut this = Self::default();
        match uwsgi::take(&call, env) {
            Ok((settings, configuration)) => {
                this.translated = settings;
                this.uwsgi = Some(configuration);
            }
            Err(problem) => problems.push(problem),
        }
        // A scoter.toml beside uWSGI's file is probably what a migration has made of it.
        if file::is_named(arguments, env) {
            this.in_file = file::read(arguments, env, problems);
        } else {
            this.unread = file::usual(env);
        }
        this
    }
}

/// How uWSGI would be called, if something of its is to be read: by an option, or because APP is a
/// file of its.
fn uwsgi_call(arguments: &Arguments, env: &ProcessEnv) -> Option<UwsgiCall> {
    let app = arguments.given.iter().find(|given| given.opt.name == APP);
    let of_app = app.and_then(|app| UwsgiCall::of_app(app.texts.first()?, &env.directory));
    match (arguments.uwsgi.clone(), of_app) {
        (Some(call), Some(of_app)) => Some(call.followed_by(of_app)),
        (call, of_app) => call.or(of_app),
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
