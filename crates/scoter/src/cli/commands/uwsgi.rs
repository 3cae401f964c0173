//! `scoter uwsgi`.

use std::ffi::OsString;

use clap::Arg;
use clap::builder::OsStringValueParser;
use clap::error::ErrorKind;

use super::Entry;
use crate::cli::command::Command;
use crate::config::{Arguments, ConfigError, HelpLevel, Settings};

pub(super) const UWSGI: Entry = Entry {
    name: "uwsgi",
    arguments: "…",
    summary: "Serve by a command line of uWSGI: put scoter in front of it",
    define,
    parse,
};

fn define(_: HelpLevel) -> clap::Command {
    clap::Command::new("scoter uwsgi")
        .bin_name("scoter uwsgi")
        .about(
            "Serves by a command line of uWSGI's, with its options, its configuration files and its \
             UWSGI_ variables.",
        )
        .override_usage("scoter uwsgi [OPTION OF uWSGI]... [FILE]...\n       scoter uwsgi --print-config ...")
        .after_help(AFTER_HELP)
        .disable_help_flag(true)
        .arg(
            Arg::new("OPTION")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .hide(true)
                .value_parser(OsStringValueParser::new()),
        )
}

/// uWSGI's reader knows which arguments are values of options, not clap.
fn parse(_: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let arguments = &arguments[1..];
    let asks_for = |words: &[&str]| {
        arguments
            .iter()
            .any(|word| words.iter().any(|it| word == it))
    };
    if asks_for(&["--help", "-h"]) {
        return Ok(Command::Help(Box::new(define(HelpLevel::Full))));
    }
    if asks_for(&["--version"]) {
        return Err(clap::Error::raw(ErrorKind::DisplayVersion, VERSION).into());
    }
    let given = Arguments::of_uwsgi(arguments);
    match given.action {
        Some(action) => Command::perform(action, &given, define),
        None => Ok(Command::Serve(Settings::with(&given)?)),
    }
}

/// Nobody may take it for uWSGI's.
const VERSION: &str = concat!(
    "scoter ",
    env!("CARGO_PKG_VERSION"),
    ", which takes the options of uWSGI 2.0.31\n"
);

const AFTER_HELP: &str = "\
Called by the name uwsgi, scoter does the same:
  ln -s scoter \"$(dirname \"$(command -v scoter)\")/uwsgi\"

--print-config shows what the options become here, and what becomes of the others. SCOTER_ variables \
set what uWSGI has no option for, and override uWSGI's. docs/uwsgi-options.md lists every option of \
uWSGI 2.0.31. To have a scoter.toml instead: scoter migrate.

Example: scoter uwsgi --ini uwsgi.ini --processes 4";
