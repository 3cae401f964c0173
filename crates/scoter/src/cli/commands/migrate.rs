//! `scoter migrate`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};

use super::Entry;
use super::check::CONFIGURATION_ONLY;
use super::client::flag;
use crate::cli::check::Extent;
use crate::cli::command::Command;
use crate::cli::migrate::{Existing, Request};
use crate::config::{ConfigError, HelpLevel, UwsgiCall};

pub(super) const MIGRATE: Entry = Entry {
    name: "migrate",
    arguments: "FILE",
    summary: "Make a scoter.toml of uWSGI's configuration, and say what changes",
    define,
    parse,
};

fn define(_: HelpLevel) -> clap::Command {
    clap::Command::new("scoter migrate")
        .bin_name("scoter migrate")
        .about(
            "Makes a scoter.toml of uWSGI's configuration, and lines for nginx and systemd where they \
             take over. Reports what changes on stderr.",
        )
        .override_usage("scoter migrate [OPTIONS] [FILE[:SECTION]]... [-- OPTION OF uWSGI...]")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new(FILE)
                .value_name("FILE")
                .num_args(0..)
                .value_hint(ValueHint::FilePath)
                .value_parser(OsStringValueParser::new())
                .help("uWSGI's configuration: .ini, .yaml, .yml or .json"),
        )
        .arg(
            Arg::new(OPTIONS)
                .last(true)
                .num_args(0..)
                .hide(true)
                .value_parser(OsStringValueParser::new()),
        )
        .arg(
            Arg::new(OUTPUT)
                .long(OUTPUT)
                .value_name("DIR")
                .value_hint(ValueHint::DirPath)
                .value_parser(value_parser!(PathBuf))
                .help("Write files into this directory, instead of scoter.toml to stdout"),
        )
        .arg(flag(FORCE, "Replace files that exist"))
        .arg(
            Arg::new(ENV_FILE)
                .long(ENV_FILE)
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .value_parser(value_parser!(PathBuf))
                .action(ArgAction::Append)
                .help("Take UWSGI_ variables from this file, too (repeatable)"),
        )
        .arg(flag(CONFIGURATION_ONLY, "Do not load the application for the check of the result"))
}

fn parse(command: clap::Command, arguments: &[OsString]) -> Result<Command, ConfigError> {
    let matches = command.try_get_matches_from(arguments)?;
    let files = UwsgiCall::with_unmarked_files(words(&matches, FILE));
    let call = files.followed_by(UwsgiCall {
        arguments: words(&matches, OPTIONS),
    });
    Ok(Command::Migrate(Request {
        call,
        env_files: matches
            .get_many(ENV_FILE)
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        output: matches.get_one(OUTPUT).cloned(),
        existing: match matches.get_flag(FORCE) {
            true => Existing::Replace,
            false => Existing::Keep,
        },
        extent: match matches.get_flag(CONFIGURATION_ONLY) {
            true => Extent::Configuration,
            false => Extent::Everything,
        },
    }))
}

fn words(matches: &ArgMatches, name: &str) -> Vec<OsString> {
    matches
        .get_many(name)
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

const FILE: &str = "FILE";
const OPTIONS: &str = "OPTIONS";
const OUTPUT: &str = "output";
const FORCE: &str = "force";
const ENV_FILE: &str = "env-file";

const AFTER_HELP: &str = "\
UWSGI_ variables count as they do for uWSGI. The result is checked as by scoter check; the application \
is loaded if it and its Python environment are on this machine.

Exit codes: 0 done, 1 behaviour is lost, or files cannot be written, 2 the configuration cannot be read.

Examples: scoter migrate uwsgi.ini > scoter.toml
          scoter migrate uwsgi.ini --output /etc/shop
          scoter migrate -- --socket /run/shop.sock --module shop.wsgi --processes 4";
