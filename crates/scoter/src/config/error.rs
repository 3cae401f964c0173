//! Errors of the configuration.

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
    /// Everything that one reading found, at least one.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

impl ConfigError {
    /// Tells whoever started scoter: clap's help on standard output, mistakes on standard
    /// error.
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

/// One thing that is wrong.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// The file with the configuration cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Unreadable {
        /// The file, as the operator named it.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The working directory has gone.
    #[error(
        "cannot enter the working directory {}: {error}\nhint: use absolute paths for --chdir and \
         --config", path.display()
    )]
    Directory {
        /// As it was named at the start.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {message}{}", hint_line(hint.as_deref()))]
    Syntax {
        /// Where it stops to be.
        place: Place,
        /// What the parser said.
        message: String,
        /// How it is written in TOML.
        hint: Option<String>,
    },
    /// A key of the file that is no option.
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
    /// A key with a kind of value that no option takes.
    #[error("{place}: {name}: expected {expected}")]
    WrongType {
        /// Where the value stands.
        place: Place,
        /// The option.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// A variable that looks like one of ours.
    #[error("unknown environment variable {name}{}", hint_line(hint.as_deref()))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What to use instead.
        hint: Option<String>,
    },
    /// A value that the option does not take.
    #[error("{written}: {reason}")]
    Value {
        /// Option and value as they were written, and where.
        written: Written,
        /// What is allowed.
        reason: String,
    },
    /// No application was named.
    #[error(
        "no APP to serve\nhint: run scoter module:callable, or set app = \"module:callable\" in \
         scoter.toml"
    )]
    NoApplication,
    /// An option that one process alone cannot follow.
    #[error("{written}: needs the master process, which --no-master disables")]
    NeedsMaster {
        /// Option and value as they were written, and where.
        written: Written,
    },
    /// The control socket of a running server cannot be determined.
    #[error(
        "no control socket: {reason}\nhint: give --control PATH, or the --config FILE that the \
         server was started with"
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
    /// One of the texts of an option.
    pub(super) fn new(opt: &Opt, text: &str, origin: &Origin) -> Self {
        Self(match origin {
            Origin::CommandLine | Origin::Default if opt.name == APP => format!("APP {text}"),
            Origin::CommandLine | Origin::Default => format!("--{} {text}", opt.name),
            Origin::Environment => format!("{}={text}", opt.variable()),
            Origin::File(place) => format!("{place}: {} = {text:?}", opt.name),
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

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
