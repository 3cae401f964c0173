//! Options from the command line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use super::command::{
    CONFIG, HELP, HelpLevel, PRINT_CONFIG, SHORT_HELP, dev_command, server_command,
};
use super::uwsgi_call::{FILE_OPTIONS, UwsgiCall};
use crate::config::dev::{DEV, DevArguments, with_tip};
use crate::config::error::APP;
use crate::config::opt::Opt;
use crate::config::origin::Origin;
use crate::config::settings::Setting;
use crate::config::suggestion::{Suggestion, suggest, suggest_for_letter};
use crate::config::table::TABLE;

/// The parsed arguments.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// The options that were given.
    pub(in crate::config) given: Vec<Setting>,
    /// `--config`.
    pub(in crate::config) config: Option<OsString>,
    /// How uWSGI would be called, if its configuration is to be read.
    pub(in crate::config) uwsgi: Option<UwsgiCall>,
    /// What is asked of `scoter dev`, if that was called.
    pub(crate) dev: Option<DevArguments>,
    /// What to do instead of serving.
    pub(crate) action: Option<Action>,
}

/// What the arguments can ask for instead of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `-h`: the options that most people need.
    ShortHelp,
    /// `--help`: all of them.
    Help,
    /// `--print-config`.
    PrintConfig,
}

impl Arguments {
    /// Parses the arguments of a server, which begin with the program's name, and of `scoter dev`.
    ///
    /// # Errors
    ///
    /// clap's error, which also carries the version.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, clap::Error> {
        if arguments.get(1).is_some_and(|first| first == UWSGI) {
            return Ok(Self::of_uwsgi(&arguments[2..]));
        }
        if arguments.get(1).is_some_and(|first| first == DEV) {
            return Self::parse_dev(dev_command(HelpLevel::None), &arguments[1..]);
        }
        Self::parse_as(server_command(HelpLevel::None), arguments).map(|(this, _)| this)
    }

    /// The arguments of `scoter uwsgi`, which are uWSGI's, but for one.
    pub(crate) fn of_uwsgi(arguments: &[OsString]) -> Self {
        let (ours, theirs): (Vec<_>, Vec<_>) = arguments.iter().cloned().partition(|word| {
            word.to_str().and_then(|word| word.strip_prefix("--")) == Some(PRINT_CONFIG)
        });
        Self {
            uwsgi: Some(UwsgiCall { arguments: theirs }),
            action: (!ours.is_empty()).then_some(Action::PrintConfig),
            ..Self::default()
        }
    }

    /// Sets `--name`.
    pub(crate) fn set_name(&mut self, name: OsString) {
        let opt = TABLE.iter().find(|opt| opt.name == "name");
        self.given.extend(opt.map(|opt| Setting {
            opt,
            texts: vec![name],
            origin: Origin::CommandLine,
        }));
    }

    /// Parses the arguments of a command made by [`dev_command`].
    ///
    /// # Errors
    ///
    /// clap's error.
    pub(crate) fn parse_dev(command: Command, arguments: &[OsString]) -> Result<Self, clap::Error> {
        let (mut this, mut matches) = Self::parse_as(command, arguments).map_err(with_tip)?;
        this.dev = Some(DevArguments::take(&mut matches));
        Ok(this)
    }

    /// Parses the arguments of a command made by [`server_command`] or [`client_command`].
    pub(crate) fn parse_as(
        command: Command,
        arguments: &[OsString],
    ) -> Result<(Self, ArgMatches), clap::Error> {
        let mut matches = command
            .try_get_matches_from(arguments)
            .map_err(with_suggestion)?;
        let asks = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
        let action = [
            (SHORT_HELP, Action::ShortHelp),
            (HELP, Action::Help),
            (PRINT_CONFIG, Action::PrintConfig),
        ]
        .into_iter()
        .find_map(|(name, action)| asks(name).then_some(action));
        let this = Self {
            given: TABLE
                .iter()
                .filter_map(|opt| given(&mut matches, opt))
                .collect(),
            config: matches.remove_one(CONFIG),
            uwsgi: uwsgi_files(&mut matches),
            dev: None,
            action,
        };
        Ok((this, matches))
    }
}

/// The command that takes uWSGI's command line.
pub(crate) const UWSGI: &str = "uwsgi";

/// uWSGI's files, in the order of the arguments.
fn uwsgi_files(matches: &mut ArgMatches) -> Option<UwsgiCall> {
    let mut files = Vec::new();
    for option in FILE_OPTIONS {
        // The flag --json of some commands is another option.
        let Ok(Some(values)) = matches.try_get_many::<OsString>(option) else {
            continue;
        };
        let indices = matches.indices_of(option).into_iter().flatten();
        files.extend(indices.zip(values.cloned().map(|file| (option, file))));
    }
    files.sort_by_key(|(index, _)| *index);
    (!files.is_empty()).then(|| UwsgiCall::with_files(files.into_iter().map(|(_, file)| file)))
}

/// clap only compares spellings, and does not know the names that other servers use.
fn with_suggestion(mut error: clap::Error) -> clap::Error {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return error;
    };
    // clap would have it become APP.
    let is_negative =
        unknown.starts_with('-') && unknown[1..].starts_with(|it: char| it.is_ascii_digit());
    let meant = match unknown.strip_prefix("--") {
        Some(name) => suggest(name),
        None => suggest_for_letter(unknown),
    };
    // clap's own guess is less informed.
    error.remove(ContextKind::SuggestedArg);
    if is_negative {
        let tips = vec!["a value cannot be negative".into()];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        return error;
    }
    let Some(Suggestion { opt, note }) = meant else {
        return error;
    };
    if let Some(opt) = opt {
        let name = match opt.name {
            APP => "APP".to_owned(),
            name => format!("--{name}"),
        };
        error.insert(ContextKind::SuggestedArg, ContextValue::String(name));
    }
    // Replaces clap's advice to pass the unknown name as a value.
    let notes = note.into_iter().map(Into::into).collect();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(notes));
    error
}

fn given(matches: &mut ArgMatches, opt: &'static Opt) -> Option<Setting> {
    let texts = matches.try_remove_many::<OsString>(opt.name).ok()??;
    Some(Setting {
        opt,
        texts: texts.collect(),
        origin: Origin::CommandLine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_values_are_values() {
        let arguments = ["scoter", "app", "--keep-alive", "-1"].map(OsString::from);
        let arguments = Arguments::parse(&arguments).unwrap();
        assert_eq!(arguments.given[1].texts, ["-1"]);
        for arguments in [&["app", "--request-timeout", "-5s"][..], &["app", "-1"]] {
            let arguments = ["scoter"].iter().chain(arguments).map(OsString::from);
            let arguments: Vec<_> = arguments.collect();
            let error = Arguments::parse(&arguments).unwrap_err().to_string();
            assert!(error.contains("unexpected argument '-"), "{error}");
            assert!(error.contains("tip: a value cannot be negative"), "{error}");
            assert!(!error.contains("as a value"), "{error}");
        }
    }

    #[test]
    fn unknown_options_are_suggested() {
        for (argument, suggestion) in [
            ("--thread", "'--threads'"),
            ("--socket_mode=660", "'--socket-mode'"),
            ("--harakiri=30", "'--request-timeout'"),
            ("--processes", "'--workers'"),
            ("--wsgi-file=app.py", "'APP'"),
            (
                "--post-buffering=1",
                "'--buffer-body'\n  tip: its value \"all\"",
            ),
            ("--master", "tip: leave it out: there is a master"),
            (
                "-x",
                "tip: scoter --ini FILE serves from uWSGI's configuration",
            ),
            ("--xml=a.xml", "tip: scoter --ini FILE serves from uWSGI's"),
            ("--interface=wsgi", "tip: leave it out: scoter serves WSGI"),
            (
                "-b",
                "'--bind'\n  tip: its value is unix:/path or host:port",
            ),
            ("-w4", "'--workers'\n  tip: uWSGI's -w is APP"),
            ("-k", "tip: leave it out: workers run threads"),
            ("-H", "tip: install scoter into that environment"),
        ] {
            let arguments = ["scoter", argument].map(OsString::from);
            let error = Arguments::parse(&arguments).unwrap_err().to_string();
            assert!(error.contains(suggestion), "{error}");
            assert!(!error.contains("as a value"), "{error}");
        }
    }
}
