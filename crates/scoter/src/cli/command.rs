//! Parses the arguments, runs the command that they name, and returns its exit code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches};
use pyo3::prelude::*;

use super::check::{self, Extent};
use super::serve;
use crate::config::{
    Action, Arguments, ConfigError, HelpLevel, MistypedCommand, Settings, client_command,
    control_path, server_command,
};
use crate::control::{self, ClientCommand};
use crate::program::Program;
use crate::python::signal_handlers;
use crate::start::Start;
use crate::sys::descriptors::fill_standard_streams;

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print this help.
    Help(Box<clap::Command>),
    /// Print the configuration, as a file.
    PrintConfig(Settings),
    /// Serve.
    Serve(Settings),
    /// Report whether a start would succeed.
    Check(Settings, Extent),
    /// Send a command to a running server's control socket.
    Client(ClientCommand, PathBuf),
}

/// Runs the command, and returns its exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped, or done |
/// | 1 | a system failure, or a running server refused |
/// | 2 | wrong arguments, configuration or socket, or no server answers |
/// | 3 | the application could not be loaded |
pub(crate) fn run(py: Python<'_>, program: Program, arguments: &[OsString]) -> u8 {
    fill_standard_streams();
    let done = parse(arguments).and_then(|command| match command {
        Command::Help(mut command) => Ok(said(command.print_help())),
        Command::PrintConfig(settings) => Ok(said(write!(io::stdout(), "{}", settings.print()))),
        Command::Serve(settings) => {
            let options = settings.options()?;
            Ok(serve::run(py, program, arguments, settings, options))
        }
        Command::Check(settings, extent) => {
            let options = settings.options()?;
            let start = Start {
                program: &program,
                settings: &settings,
                options: &options,
            };
            check::run(py, &start, extent)
        }
        Command::Client(command, path) => {
            // Otherwise Python's own handler for INT would run.
            let ours = signal_handlers::take(py);
            ours.unwrap_or_else(|error| error.print(py));
            Ok(py.detach(|| control::run(command, &path)))
        }
    });
    done.unwrap_or_else(|error| {
        error.print();
        error.exit_code()
    })
}

/// Parses the arguments, which begin with the program's name.
///
/// `check`, `status`, … are commands only as the first argument. To serve a module with such a
/// name, put an option before it, or give its file name.
///
/// # Errors
///
/// [`ConfigError`] lists every mistake. It also carries the text of `--version` and the help of
/// client commands.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Command, ConfigError> {
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("check") => parse_check(&arguments[1..]),
        Some("status") => parse_client(&arguments[1..], status(), |matches| {
            let (json, ready) = (matches.get_flag("json"), matches.get_flag("ready"));
            ClientCommand::Status { json, ready }
        }),
        Some("reload") => parse_client(&arguments[1..], reload(), |matches| {
            let upgrade = matches.get_flag("upgrade");
            ClientCommand::Reload { upgrade }
        }),
        Some("stop") => parse_client(&arguments[1..], stop(), |_| ClientCommand::Stop),
        Some("scale") => parse_client(&arguments[1..], scale(), |matches| {
            let workers = matches.get_one("N").copied();
            ClientCommand::Scale(workers.expect("clap requires it"))
        }),
        Some("top") => parse_client(&arguments[1..], top(), |_| ClientCommand::Top),
        _ => parse_server(arguments),
    }
}

fn parse_server(arguments: &[OsString]) -> Result<Command, ConfigError> {
    let given = Arguments::parse(arguments).map_err(|error| with_command(error, arguments))?;
    match given.action {
        Some(action) => perform(action, &given, server_command),
        None => Ok(Command::Serve(Settings::with(&given)?)),
    }
}

/// Adds a tip where arguments are invalid because the command was mistyped.
fn with_command(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let first = arguments.get(1).and_then(|first| first.to_str());
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    if let Some(mistyped) = first.and_then(MistypedCommand::of) {
        error.remove(ContextKind::SuggestedArg);
        let tips = ContextValue::StyledStrs(vec![mistyped.tip().into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn parse_check(arguments: &[OsString]) -> Result<Command, ConfigError> {
    let (given, matches) = Arguments::parse_as(check_command(HelpLevel::None), arguments)?;
    if let Some(action) = given.action {
        return perform(action, &given, check_command);
    }
    let extent = if matches.get_flag(CONFIGURATION_ONLY) {
        Extent::Configuration
    } else {
        Extent::Everything
    };
    Ok(Command::Check(Settings::with(&given)?, extent))
}

fn perform(
    action: Action,
    given: &Arguments,
    command: fn(HelpLevel) -> clap::Command,
) -> Result<Command, ConfigError> {
    Ok(match action {
        Action::ShortHelp => Command::Help(Box::new(command(HelpLevel::Short))),
        Action::Help => Command::Help(Box::new(command(HelpLevel::Full))),
        Action::PrintConfig => {
            let settings = Settings::with(given)?;
            settings.check_all_but_app()?;
            Command::PrintConfig(settings)
        }
    })
}

/// The exit code of a command that writes to standard output.
fn said(written: io::Result<()>) -> u8 {
    u8::from(written.is_err())
}

fn check_command(level: HelpLevel) -> clap::Command {
    server_command(level)
        .name("scoter check")
        .about(
            "Loads the configuration and the application as a start with the same options would, \
             and reports what is wrong.",
        )
        .override_usage("scoter check [OPTIONS] [APP]")
        .after_help("Exit codes: 0 fine, 1 the system does not allow it (the open file limit, for instance), 2 the \
             configuration is wrong, 3 the application is.")
        .arg(flag(CONFIGURATION_ONLY, "Do not load the application").hide(true))
}

fn parse_client(
    arguments: &[OsString],
    command: clap::Command,
    read: fn(&ArgMatches) -> ClientCommand,
) -> Result<Command, ConfigError> {
    let (given, matches) = Arguments::parse_as(client_command(command), arguments)?;
    Ok(Command::Client(read(&matches), control_path(&given)?))
}

fn status() -> clap::Command {
    client("scoter status")
        .about("Shows a running server's workers, their requests and their rates.")
        .arg(flag("json", "Print JSON"))
        .arg(
            flag(
                "ready",
                "Exit with 0 if the server is ready, else with 1 and the reason on stderr",
            )
            .conflicts_with("json"),
        )
}

fn reload() -> clap::Command {
    client("scoter reload")
        .about(
            "Starts workers with the current code and configuration, and retires the old ones \
             once these are ready. If the new code fails, the old workers continue to serve.",
        )
        .arg(flag(
            "upgrade",
            "Also replace scoter itself with the installed release",
        ))
}

fn stop() -> clap::Command {
    client("scoter stop").about("Stops a server gracefully, and waits until it has stopped.")
}

fn scale() -> clap::Command {
    client("scoter scale")
        .about("Sets the number of workers.")
        .arg(
            Arg::new("N")
                .required(true)
                .allow_negative_numbers(true)
                .value_parser(number_of_workers)
                .help("Number of workers, from 1 to 1024"),
        )
}

fn number_of_workers(text: &str) -> Result<u32, &'static str> {
    let number = text.parse().ok();
    number.filter(|number| (1..=1024).contains(number)).ok_or(
        "expected a whole number from 1 to 1024; for a range, set --workers MIN..MAX and reload",
    )
}

fn top() -> clap::Command {
    client("scoter top").about("Shows workers and running requests, live, until interrupted.")
}

/// By default clap would take the name in its messages from the first argument.
fn client(name: &'static str) -> clap::Command {
    clap::Command::new(name).bin_name(name)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

const CONFIGURATION_ONLY: &str = "configuration-only";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        let arguments = ["scoter"].iter().chain(arguments).map(OsString::from);
        parse(&arguments.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_consistent() {
        for command in [status(), reload(), stop(), scale(), top()] {
            client_command(command).debug_assert();
        }
        check_command(HelpLevel::None).debug_assert();
        check_command(HelpLevel::Full).debug_assert();
    }

    #[test]
    fn client_commands_are_the_first_argument() {
        let status = |json, ready| ClientCommand::Status { json, ready };
        for (arguments, expected) in [
            (&["status"][..], status(false, false)),
            (&["status", "--json"], status(true, false)),
            (&["status", "--ready"], status(false, true)),
            (&["reload"], ClientCommand::Reload { upgrade: false }),
            (
                &["reload", "--upgrade"],
                ClientCommand::Reload { upgrade: true },
            ),
            (&["stop"], ClientCommand::Stop),
            (&["scale", "3"], ClientCommand::Scale(3)),
            (&["top"], ClientCommand::Top),
        ] {
            let arguments = [arguments, &["--control", "/c"]].concat();
            match parsed(&arguments) {
                Ok(Command::Client(command, path)) => {
                    assert_eq!(command, expected, "{arguments:?}");
                    assert_eq!(path, PathBuf::from("/c"), "{arguments:?}");
                }
                other => panic!("{arguments:?}: {other:?}"),
            }
        }
        for arguments in [
            &["--threads", "2", "status"][..],
            &["--", "status"],
            &["status.py"],
        ] {
            assert!(
                matches!(parsed(arguments), Ok(Command::Serve(_))),
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn arguments_of_commands_are_checked() {
        const EXPECTED: &str = "expected a whole number from 1 to 1024; for a range, set --workers MIN..MAX and reload";
        for (arguments, word) in [
            (&["scale"][..], "<N>"),
            (&["scale", "0"], EXPECTED),
            (&["scale", "x"], EXPECTED),
            (&["scale", "-1"], EXPECTED),
            (&["scale", "2..4"], EXPECTED),
            (&["status", "--jsn"], "--json"),
            (&["status", "--json", "--ready"], "--ready"),
            (&["stop", "now"], "now"),
            (&["reload", "--threads", "4"], "--threads"),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn arguments_of_a_mistyped_command_suggest_the_command() {
        for (arguments, tip) in [
            (
                &["statsu", "--json"][..],
                "tip: did you mean 'scoter status'?",
            ),
            (&["scael", "3"], "tip: did you mean 'scoter scale'?"),
            (&["restart", "now"], "tip: did you mean 'scoter reload'?"),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(error.contains(tip), "{arguments:?}: {error}");
        }
        let error = parsed(&["app", "--thread", "2"]).unwrap_err();
        assert!(
            error.contains("tip: a similar argument exists: '--threads'"),
            "{error}"
        );
    }

    #[test]
    fn check_takes_the_options_of_a_start() {
        for (arguments, expected) in [
            (&["check", "app", "--threads", "2"][..], Extent::Everything),
            (
                &["check", "--configuration-only", "app"],
                Extent::Configuration,
            ),
        ] {
            match parsed(arguments) {
                Ok(Command::Check(settings, extent)) => {
                    assert_eq!(extent, expected);
                    assert_eq!(settings.get("app").texts, ["app"]);
                }
                other => panic!("{arguments:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn help_needs_no_configuration() {
        for arguments in [
            &["-h"][..],
            &["--help"],
            &["check", "--help"],
            &["--help", "--threads", "0", "--config", "/nonexistent"],
        ] {
            assert!(
                matches!(parsed(arguments), Ok(Command::Help(_))),
                "{arguments:?}"
            );
        }
    }
}
