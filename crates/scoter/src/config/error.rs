//! Errors of the configuration.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::opt::Opt;
use super::origin::{Origin, Place};

/// Why there is no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The arguments are wrong, or ask for a help text.
    #[error("{}", .0.render().to_string().trim_end())]
    Arguments(#[from] clap::Error),
    /// All mistakes found, at least one.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

impl ConfigError {
    /// Prints clap's help to standard output, mistakes to standard error.
    #[expect(
        clippy::print_stderr,
        reason = "there is no log before there is a level"
    )]
    pub(crate) fn print(&self) {
        match self {
            // If this cannot be printed, the exit code still reports it.
            Self::Arguments(error) => drop(error.print()),
            Self::Problems(problems) => {
                for problem in problems {
                    eprintln!("error: {problem}");
                }
            }
        }
    }

    /// 0 for `--help` and `--version`, else 2.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Problems(_) => 2,
        }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}

/// One mistake in the configuration.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Unreadable {
        /// The file, as the operator named it.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The working directory no longer exists.
    #[error(
        "cannot enter the working directory {}: {error}\nhint: use absolute paths for --chdir and \
         --config", path.display()
    )]
    Directory {
        /// Its path at the start.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {message}{}", hint_line(hint.as_deref()))]
    Syntax {
        /// The first position that is not TOML.
        place: Place,
        /// The parser's message.
        message: String,
        /// How to write it in TOML.
        hint: Option<String>,
    },
    /// A key in the file that is not an option.
    #[error("{place}: unknown key {name:?}{}", hint_line(hint.as_deref()))]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key.
        name: String,
        /// What to use instead.
        hint: Option<String>,
    },
    /// A table in the file.
    #[error("{place}: unknown table {name:?}\nhint: {hint}")]
    Table {
        /// Where it stands.
        place: Place,
        /// Its name.
        name: String,
        /// What to do.
        hint: &'static str,
    },
    /// A key whose value has a type that the option does not accept.
    #[error("{place}: {name}: expected {expected}")]
    WrongType {
        /// Where the value stands.
        place: Place,
        /// The option.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// An unknown variable that begins with `SCOTER_`.
    #[error("unknown environment variable {name}{}", hint_line(hint.as_deref()))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What to use instead.
        hint: Option<String>,
    },
    /// A value that the option does not accept.
    #[error("{written}: {reason}")]
    Value {
        /// Option and value as they were written, and where.
        written: Written,
        /// What is allowed.
        reason: String,
    },
    /// A file of environment variables cannot be read.
    #[error(
        "cannot read the environment variables in {}: {error}{}",
        path.display(),
        privileges_hint(error)
    )]
    UnreadableVariables {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A line of such a file is not understood.
    #[error("{}:{line}: {reason}", file.display())]
    Variable {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, without the value, which may be a secret.
        reason: String,
    },
    /// An entry of a table that is not one of the option's.
    #[error("{place}: {name}.{key}: {reason}")]
    Entry {
        /// Where its key stands.
        place: Place,
        /// The option.
        name: &'static str,
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// No application was named.
    #[error(
        "no APP to serve\nhint: run scoter module:callable, or set app = \"module:callable\" in \
         scoter.toml"
    )]
    NoApplication,
    /// uWSGI would not start with its configuration either.
    #[error("{message}")]
    Uwsgi {
        /// What is wrong, and where.
        message: String,
    },
    /// What uWSGI's configuration asks for would not be what clients get.
    #[error("{reason}")]
    NotServed {
        /// Why, with the directive and its place.
        reason: String,
    },
    /// No application was named to `scoter dev`.
    #[error(
        "no APP to serve, and no manage.py, wsgi.py or app.py in {}\nhint: run scoter dev \
         module:callable or scoter dev path/to/file.py", folder.display()
    )]
    NoApplicationHere {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// An option that has no effect without a master process.
    #[error("{written}: needs the master process, which --no-master disables")]
    NeedsMaster {
        /// Option and value as they were written, and where.
        written: Written,
    },
    /// A mistake in the file keeps a command from the server that runs.
    #[error(
        "the server was not contacted\nhint: correct the configuration, or name the server with \
         --bind unix:PATH or --control PATH: then it is not read"
    )]
    NotContacted,
    /// The control socket of a running server cannot be determined.
    #[error(
        "no control socket: {reason}\nhint: give the server's --bind unix:PATH, its --control \
         PATH, or the --config FILE that it was started with"
    )]
    NoControl {
        /// What is missing.
        reason: &'static str,
    },
}

/// An option with its value, as its source spells it.
#[derive(Debug)]
pub(crate) struct Written(String);

impl Written {
    /// The text of an option with this index.
    pub(super) fn new(opt: &Opt, index: usize, text: &str, origin: &Origin) -> Self {
        let text = &*shown(opt, text);
        Self(match origin {
            Origin::CommandLine | Origin::Default if opt.name == APP => format!("APP {text}"),
            Origin::CommandLine | Origin::Default => format!("--{} {text}", opt.name),
            Origin::Environment => format!("{}={text}", opt.variable()),
            Origin::File(place) => format!("{place}: {} = {text:?}", opt.name),
            Origin::Uwsgi(_) => match origin.directive(index) {
                Some(directive) => directive.to_string(),
                None => format!("{} = {text:?}, as uWSGI has it", opt.name),
            },
        })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The option that the command line takes without a name.
pub(super) const APP: &str = "app";

/// A text as messages show it: the value of an environment variable may be a secret.
fn shown<'a>(opt: &Opt, text: &'a str) -> Cow<'a, str> {
    match text.split_once('=') {
        Some((name, _)) if opt.name == ENV => format!("{name}=\u{2026}").into(),
        _ => text.into(),
    }
}

/// The option whose values are not shown.
const ENV: &str = "env";

fn privileges_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "\nhint: a start reads it before it becomes --user, a reload reads it as that user"
        }
        _ => "",
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
