//! The command line: clap's command made from the table.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, builder::OsStringValueParser};

use super::error::APP;
use super::opt::{Arity, OFF, Opt};
use super::table::TABLE;

/// What the arguments say.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The texts of each row of the table that was given.
    pub(super) given: Vec<Option<Vec<OsString>>>,
}

impl Arguments {
    /// Reads arguments, the program's name first.
    ///
    /// # Errors
    ///
    /// clap's, which also carries the texts of `--help` and `--version`.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut matches = command().try_get_matches_from(arguments)?;
        let given = TABLE.iter().map(|opt| given(&mut matches, opt)).collect();
        Ok(Self { given })
    }
}

fn given(matches: &mut ArgMatches, opt: &Opt) -> Option<Vec<OsString>> {
    if opt.arity == Arity::Flag {
        return matches.get_flag(opt.name).then(|| vec!["true".into()]);
    }
    Some(matches.remove_many::<OsString>(opt.name)?.collect())
}

/// The command that serves.
fn command() -> Command {
    Command::new("scoter")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves a Python WSGI application to nginx uwsgi_pass.")
        .max_term_width(110)
        .after_help("Example: scoter myproject.wsgi --bind unix:/run/myproject/scoter.sock")
        .args(TABLE.iter().map(arg))
}

fn arg(opt: &'static Opt) -> Arg {
    let arg = Arg::new(opt.name).help(help(opt));
    if opt.name == APP {
        let parser = OsStringValueParser::new();
        return arg.value_name(opt.value_name).value_parser(parser);
    }
    let arg = arg.long(opt.name).help_heading(opt.section);
    let action = match opt.arity {
        Arity::Flag => return arg.action(ArgAction::SetTrue),
        Arity::Many => ArgAction::Append,
        Arity::Required | Arity::One(_) | Arity::Off | Arity::Maybe => ArgAction::Set,
    };
    arg.action(action)
        .value_name(opt.value_name)
        .value_parser(OsStringValueParser::new())
}

fn help(opt: &Opt) -> String {
    let default = match opt.arity {
        Arity::One(default) => default,
        Arity::Off => OFF,
        Arity::Required | Arity::Maybe | Arity::Many | Arity::Flag => return opt.help.to_owned(),
    };
    format!("{} [default: {default}]", opt.help)
}
