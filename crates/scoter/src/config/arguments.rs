//! The command line: clap's command made from the table.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::error::APP;
use super::opt::{Arity, OFF, Opt};
use super::origin::Origin;
use super::settings::Setting;
use super::suggestion::suggest;
use super::table::TABLE;

/// What the arguments say.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// The options that were given.
    pub(super) given: Vec<Setting>,
    /// `--config`.
    pub(super) config: Option<OsString>,
    /// What is asked for besides serving.
    pub(crate) wish: Option<Wish>,
}

/// What arguments can ask for instead of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `-h`: the options that most people need.
    ShortHelp,
    /// `--help`: all of them.
    Help,
    /// `--print-config`.
    PrintConfig,
}

impl Arguments {
    /// Reads arguments, the program's name first.
    ///
    /// # Errors
    ///
    /// clap's, which also carries the version.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, clap::Error> {
        Self::parse_as(server_command(For::Parsing), arguments).map(|(this, _)| this)
    }

    /// Reads arguments of a command made by [`server_command`] or [`client_command`].
    pub(crate) fn parse_as(
        command: Command,
        arguments: &[OsString],
    ) -> Result<(Self, ArgMatches), clap::Error> {
        let mut matches = command
            .try_get_matches_from(arguments)
            .map_err(with_suggestion)?;
        let asks = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
        let wish = [
            (SHORT_HELP, Wish::ShortHelp),
            (HELP, Wish::Help),
            (PRINT_CONFIG, Wish::PrintConfig),
        ]
        .into_iter()
        .find_map(|(name, wish)| asks(name).then_some(wish));
        let this = Self {
            given: TABLE
                .iter()
                .filter_map(|opt| given(&mut matches, opt))
                .collect(),
            config: matches.remove_one(CONFIG),
            wish,
        };
        Ok((this, matches))
    }
}

/// clap knows the spelling of names, but not what they are called elsewhere.
fn with_suggestion(mut error: clap::Error) -> clap::Error {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return error;
    };
    if let Some(opt) = unknown.strip_prefix("--").and_then(suggest) {
        let name = match opt.name {
            APP => "APP".to_owned(),
            name => format!("--{name}"),
        };
        error.insert(ContextKind::SuggestedArg, ContextValue::String(name));
    }
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

/// What clap's command is made for. A parsed flag takes `=false`, and a parsed APP may be
/// missing, since a file can have it; the help shows neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// To parse arguments.
    Parsing,
    /// To show all options.
    Help,
    /// To show those that most people need.
    ShortHelp,
}

/// The command that serves.
pub(crate) fn server_command(purpose: For) -> Command {
    let is_common = |name| purpose != For::ShortHelp || COMMON.contains(&name);
    let (after, help_flags) = match purpose {
        For::ShortHelp => (AFTER_SHORT_HELP.to_owned(), help_flags()),
        For::Help => (AFTER_HELP.to_owned(), help_flags()),
        For::Parsing => (String::new(), parsed_help_flags()),
    };
    Command::new("scoter")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(WIDTH)
        .about("Serves a Python WSGI application to nginx uwsgi_pass.")
        .override_usage("scoter [OPTIONS] APP\n       scoter COMMAND --help")
        .disable_help_flag(true)
        .after_help(after)
        .arg(config())
        .arg(
            Arg::new(PRINT_CONFIG)
                .long(PRINT_CONFIG)
                .action(ArgAction::SetTrue)
                .hide(purpose == For::ShortHelp)
                .help("Print every value and where it came from, as a file for --config"),
        )
        .args(help_flags)
        .args(
            TABLE
                .iter()
                .map(|opt| arg(opt, purpose).hide(!is_common(opt.name))),
        )
}

/// A command that asks a server which was started with the same configuration.
pub(crate) fn client_command(command: Command) -> Command {
    let known = |opt: &'static Opt| {
        let help = match opt.name {
            "control" => "The server's control socket [default: what the configuration says]",
            "bind" => "The Unix socket that the server serves: its control socket is beside it",
            _ => return None,
        };
        Some(arg(opt, For::Help).help_heading(None).help(help))
    };
    command
        .max_term_width(WIDTH)
        .arg(config())
        .args(TABLE.iter().filter_map(known))
}

fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(OsStringValueParser::new())
        .help("Read options from this file [default: scoter.toml, if there is one]")
}

/// Wider lines are hard to read.
const WIDTH: usize = 110;

const CONFIG: &str = "config";
const PRINT_CONFIG: &str = "print-config";
const SHORT_HELP: &str = "short-help";
const HELP: &str = "help";

/// What `-h` shows of the table.
const COMMON: [&str; 12] = [
    "bind",
    "socket-group",
    "app",
    "chdir",
    "preload",
    "workers",
    "threads",
    "user",
    "max-requests",
    "request-timeout",
    "graceful-timeout",
    "access-log",
];

const AFTER_SHORT_HELP: &str = "\
Example: scoter myproject.wsgi --bind unix:/run/myproject/scoter.sock
All options and commands: scoter --help";

const AFTER_HELP: &str = "\
Commands, as the first argument:
  check     Load the configuration and the application as a start would, and say what is wrong
  status    Show workers and rates; --json for machines, --ready for probes
  reload    Start new workers with new code, and retire the old ones when they are ready
  stop      Finish running requests, and stop
  scale N   Change the number of workers
  top       Show running requests, again and again

TIME is 500ms, 30s, 5m, 2h or 7d; a bare number is seconds. SIZE is bytes, or 64K, 1M, 2G (powers \
of 1024). What has no default is off, or not set.

An option may also stand in scoter.toml (request-timeout = \"30s\", paths relative to the file) or in \
the environment (SCOTER_REQUEST_TIMEOUT=30s; commas between the values of a repeatable one). The \
command line counts most, then the environment, then the file.

Example: scoter myproject.wsgi --bind unix:/run/myproject/scoter.sock";

/// `-h` and `--help` are told apart here, and not by clap, which would spread the longer
/// help over a paragraph per option.
fn parsed_help_flags() -> Vec<Arg> {
    vec![
        Arg::new(SHORT_HELP).short('h').action(ArgAction::SetTrue),
        Arg::new(HELP).long(HELP).action(ArgAction::SetTrue),
    ]
}

fn help_flags() -> Vec<Arg> {
    vec![
        Arg::new(HELP)
            .short('h')
            .long(HELP)
            .action(ArgAction::SetTrue)
            .help("Print help: -h the most used options, --help all"),
    ]
}

/// An option of the table as an argument.
fn arg(opt: &'static Opt, purpose: For) -> Arg {
    let arg = Arg::new(opt.name)
        .help(help(opt))
        .value_parser(OsStringValueParser::new());
    if opt.name == APP {
        return arg
            .value_name(opt.value_name)
            .required(purpose != For::Parsing);
    }
    let arg = arg.long(opt.name).help_heading(opt.section);
    match opt.arity {
        Arity::Flag if purpose == For::Parsing => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Arity::Flag => arg
            .action(ArgAction::SetTrue)
            .value_parser(clap::value_parser!(bool)),
        Arity::Many => arg.action(ArgAction::Append).value_name(opt.value_name),
        Arity::Required | Arity::One(_) | Arity::Off | Arity::Maybe => {
            arg.action(ArgAction::Set).value_name(opt.value_name)
        }
    }
}

fn help(opt: &Opt) -> String {
    let default = match opt.arity {
        Arity::One(default) => default,
        Arity::Off => OFF,
        Arity::Required | Arity::Maybe | Arity::Many | Arity::Flag => return opt.help.to_owned(),
    };
    format!("{} [default: {default}]", opt.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_options_are_suggested() {
        for (argument, suggestion) in [
            ("--thread", "'--threads'"),
            ("--socket_mode=660", "'--socket-mode'"),
            ("--harakiri=30", "'--request-timeout'"),
            ("--processes", "'--workers'"),
            ("--wsgi-file=app.py", "'APP'"),
        ] {
            let arguments = ["scoter", argument].map(OsString::from);
            let error = Arguments::parse(&arguments).unwrap_err().to_string();
            assert!(error.contains(suggestion), "{error}");
        }
    }

    #[test]
    fn definition_is_consistent() {
        for purpose in [For::Parsing, For::Help, For::ShortHelp] {
            server_command(purpose).debug_assert();
        }
        for name in COMMON {
            assert!(TABLE.iter().any(|opt| opt.name == name), "{name}");
        }
    }
}
