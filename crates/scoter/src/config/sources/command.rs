//! clap's command, made from the table.

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::uwsgi_call::FILE_OPTIONS;
use crate::config::dev;
use crate::config::error::APP;
use crate::config::opt::{Arity, OFF, Opt};
use crate::config::table::TABLE;

/// How much help clap's command prints. When it parses, a flag takes `=false`, which the help does
/// not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HelpLevel {
    /// None: the command parses arguments.
    None,
    /// The most used options.
    Short,
    /// All options.
    Full,
}

/// The command that serves.
pub(crate) fn server_command(level: HelpLevel) -> Command {
    let is_common = |name| level != HelpLevel::Short || COMMON.contains(&name);
    let help_flags = match level {
        HelpLevel::Short | HelpLevel::Full => help_flags(),
        HelpLevel::None => parsed_help_flags(),
    };
    Command::new("scoter")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(WIDTH)
        .about("Serves a Python WSGI application to nginx uwsgi_pass.")
        .override_usage("scoter [OPTIONS] APP\n       scoter COMMAND --help")
        .disable_help_flag(true)
        .arg(config())
        .args(uwsgi_files(level))
        .arg(print_config(level))
        .args(help_flags)
        .args(
            TABLE
                .iter()
                .map(|opt| arg(opt, level).hide(!is_common(opt.name))),
        )
}

/// The command that serves a developer.
pub(crate) fn dev_command(level: HelpLevel) -> Command {
    let is_common = |name| level != HelpLevel::Short || COMMON.contains(&name);
    let help_flags = match level {
        HelpLevel::Short | HelpLevel::Full => help_flags(),
        HelpLevel::None => parsed_help_flags(),
    };
    let offered = TABLE.iter().filter(|opt| dev::is_offered(opt));
    Command::new("scoter dev")
        .bin_name("scoter dev")
        .max_term_width(WIDTH)
        .disable_help_flag(true)
        .args(dev::arguments())
        .arg(config())
        .args(uwsgi_files(level))
        .arg(print_config(level))
        .args(help_flags)
        .args(offered.map(|opt| arg(opt, level).hide(!is_common(opt.name))))
}

/// A command for a server that was started with the same configuration.
pub(crate) fn client_command(command: Command) -> Command {
    let known = |opt: &'static Opt| {
        let help = match opt.name {
            "control" => "The server's control socket [default: from the configuration]",
            "bind" => "The server's Unix socket; its control socket is next to it",
            NAME => "The server's name or process ID; scoter status lists them",
            _ => return None,
        };
        let arg = arg(opt, HelpLevel::Full).help_heading(None).help(help);
        Some(match opt.name {
            NAME => arg.conflicts_with_all(["bind", "control", CONFIG, INI, YAML]),
            _ => arg,
        })
    };
    command
        .max_term_width(WIDTH)
        .arg(config())
        // Their --json is another option.
        .args([uwsgi_file(INI), uwsgi_file(YAML)])
        .args(TABLE.iter().filter_map(known))
}

fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(OsStringValueParser::new())
        .help("Read options from this file [default: scoter.toml, if it exists]")
}

/// uWSGI's own options for its files.
fn uwsgi_files(level: HelpLevel) -> impl Iterator<Item = Arg> {
    let is_common = move |name| level != HelpLevel::Short || name == INI;
    FILE_OPTIONS
        .map(|name| uwsgi_file(name).hide(!is_common(name)))
        .into_iter()
}

fn uwsgi_file(name: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(OsStringValueParser::new())
        .action(ArgAction::Append)
        .help(match name {
            INI => "Read uWSGI's configuration from this file, and UWSGI_ variables; FILE:SECTION for a section",
            YAML => "The same, for a YAML file",
            _ => "The same, for a JSON file",
        })
}

const INI: &str = FILE_OPTIONS[0];
const YAML: &str = FILE_OPTIONS[1];

fn print_config(level: HelpLevel) -> Arg {
    Arg::new(PRINT_CONFIG)
        .long(PRINT_CONFIG)
        .action(ArgAction::SetTrue)
        .hide(level == HelpLevel::Short)
        .help("Print every value and its source, as a file for --config")
}

/// Wider lines are hard to read.
const WIDTH: usize = 110;

/// The option by which a running server is found.
const NAME: &str = "name";

pub(super) const CONFIG: &str = "config";
pub(super) const PRINT_CONFIG: &str = "print-config";
pub(super) const SHORT_HELP: &str = "short-help";
pub(super) const HELP: &str = "help";

/// The options that `-h` shows.
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

/// Distinguishes `-h` and `--help` here, because clap would print a paragraph per option for the
/// longer help.
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
fn arg(opt: &'static Opt, level: HelpLevel) -> Arg {
    let arg = Arg::new(opt.name)
        .help(help(opt))
        .value_parser(OsStringValueParser::new());
    let arg = match opt.arity {
        Arity::Flag => arg,
        _ => arg.value_hint(value_hint(opt)),
    };
    if opt.name == APP {
        return arg.value_name(opt.value_name);
    }
    let arg = arg.long(opt.name).help_heading(opt.section);
    match opt.arity {
        Arity::Flag if level == HelpLevel::None => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Arity::Flag => arg
            .action(ArgAction::SetTrue)
            .value_parser(clap::value_parser!(bool)),
        Arity::Many | Arity::Pairs => arg.action(ArgAction::Append).value_name(opt.value_name),
        // The option itself says what it accepts instead.
        Arity::One(_) | Arity::Off | Arity::Maybe => arg
            .action(ArgAction::Set)
            .allow_negative_numbers(true)
            .value_name(opt.value_name),
    }
}

/// What a shell completes the value with.
fn value_hint(opt: &Opt) -> ValueHint {
    match (opt.name, opt.value_name) {
        (APP | "control", _) | (_, "FILE") => ValueHint::FilePath,
        (_, "DIR") => ValueHint::DirPath,
        (_, "USER") => ValueHint::Username,
        _ => ValueHint::Other,
    }
}

fn help(opt: &Opt) -> String {
    let default = match opt.arity {
        Arity::One(default) => default,
        Arity::Off => OFF,
        Arity::Maybe | Arity::Many | Arity::Pairs | Arity::Flag => return opt.help.to_owned(),
    };
    format!("{} [default: {default}]", opt.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        for level in [HelpLevel::None, HelpLevel::Full, HelpLevel::Short] {
            server_command(level).debug_assert();
            dev_command(level).debug_assert();
        }
        for name in COMMON {
            assert!(TABLE.iter().any(|opt| opt.name == name), "{name}");
        }
    }
}
