//! Parses the arguments into a [`Command`].

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command::Command;
use super::commands::COMMANDS;
use super::help;
use super::similar_command::meant_by;
use crate::config::{Arguments, ConfigError, Settings};

/// Parses the arguments, which begin with the program's name.
///
/// `check`, `status`, … are commands only as the first argument. To serve a module with such a
/// name, put an option before it, or give its file name.
///
/// # Errors
///
/// [`ConfigError`] lists every mistake. It also carries the text of `--version` and the help of
/// client commands.
pub(super) fn parse(arguments: &[OsString]) -> Result<Command, ConfigError> {
    let first = arguments.get(1).and_then(|first| first.to_str());
    match COMMANDS.iter().find(|entry| Some(entry.name) == first) {
        Some(entry) => entry.parse(&arguments[1..]),
        None => parse_server(arguments),
    }
}

fn parse_server(arguments: &[OsString]) -> Result<Command, ConfigError> {
    let given = Arguments::parse(arguments).map_err(|error| with_command(error, arguments))?;
    match given.action {
        Some(action) => Command::perform(action, &given, help::server),
        None => Ok(Command::Serve(Settings::with(&given)?)),
    }
}

/// Adds a tip where arguments are invalid because the command was mistyped.
fn with_command(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let first = arguments.get(1).and_then(|first| first.to_str());
    // The flag --json of commands is here an option with a value.
    let is_of_command = [ErrorKind::UnknownArgument, ErrorKind::InvalidValue];
    if !is_of_command.contains(&error.kind()) {
        return error;
    }
    if let Some(meant) = first.and_then(meant_by) {
        error.remove(ContextKind::SuggestedArg);
        let tip = format!("did you mean '{meant}'?");
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::check::Extent;
    use crate::config::{HelpLevel, notes};
    use crate::control::{ClientCommand, ServerSelector};

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        let arguments = ["scoter"].iter().chain(arguments).map(OsString::from);
        parse(&arguments.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_consistent() {
        for entry in COMMANDS {
            for level in [HelpLevel::None, HelpLevel::Short, HelpLevel::Full] {
                (entry.define)(level).debug_assert();
            }
        }
    }

    #[test]
    fn client_commands_are_the_first_argument() {
        let status = |json, ready| ClientCommand::Status { json, ready };
        let stacks = |worker, json| ClientCommand::Stacks { worker, json };
        for (arguments, expected) in [
            (&["status"][..], status(false, false)),
            (&["status", "--json"], status(true, false)),
            (&["status", "--ready"], status(false, true)),
            (&["stacks"], stacks(None, false)),
            (
                &["stacks", "--worker", "3", "--json"],
                stacks(Some(3), true),
            ),
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
                Ok(Command::Client(command, ServerSelector::Path(path))) => {
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
    fn server_is_named_by_an_option_or_after_status() {
        let shop = ServerSelector::Name("shop".to_owned());
        for (arguments, expected) in [
            (&["status", "shop"][..], &shop),
            (&["status", "--json", "shop"], &shop),
            (&["status", "--name", "shop"], &shop),
            (&["status", "4242"], &ServerSelector::Pid(4242)),
            (&["reload", "--name", "shop"], &shop),
            (&["scale", "3", "--name", "shop"], &shop),
        ] {
            match parsed(arguments) {
                Ok(Command::Client(_, server)) => assert_eq!(server, *expected, "{arguments:?}"),
                other => panic!("{arguments:?}: {other:?}"),
            }
        }
        for option in ["--name", "--control", "--bind", "--config"] {
            let error = parsed(&["status", "shop", option, "x"]).unwrap_err();
            assert!(error.contains("cannot be used with"), "{error}");
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
            (
                &["stacks", "--worker", "x"],
                "invalid value 'x' for '--worker <N>'",
            ),
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
    fn advice_for_users_of_other_servers_names_commands_that_exist() {
        let words = |note: &'static str| note.split("run scoter ").skip(1);
        let mut named = Vec::new();
        for rest in notes().flat_map(words) {
            let is_of_name = |it: char| it.is_ascii_alphanumeric() || it == '-';
            let word = rest.split(|it| !is_of_name(it)).next().unwrap_or_default();
            let is_command = COMMANDS.iter().any(|entry| entry.name == word);
            assert!(is_command || word == "--print-config", "scoter {word}");
            named.push(word);
        }
        assert!(named.contains(&"reload"), "{named:?}");
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
