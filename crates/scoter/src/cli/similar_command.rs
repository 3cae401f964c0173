//! "Did you mean", for a word that is read as APP though a command was meant.

use std::fmt;

use super::commands::COMMANDS;

/// What the word probably means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    Command(&'static str),
    /// Serving, as in `scoter start`: there is no command for it.
    Serve,
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => write!(f, "scoter {command}"),
            Self::Serve => f.write_str(
                "scoter APP, which starts a server, or scoter dev, which serves a developer",
            ),
        }
    }
}

/// The command whose name is closest to `word`, or that other programs call `word`. The caller has
/// to check whether a module has that name.
pub(super) fn meant_by(word: &str) -> Option<Meant> {
    let of_another = ELSEWHERE.iter().find(|(theirs, _)| *theirs == word);
    if let Some((_, meant)) = of_another {
        return Some(*meant);
    }
    if USUAL_MODULES.contains(&word) {
        return None;
    }
    COMMANDS
        .iter()
        .map(|entry| entry.name)
        .map(|command| (strsim::osa_distance(command, word), command))
        .filter(|&(distance, command)| distance <= if command.len() < 5 { 1 } else { 2 })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, command)| Meant::Command(command))
}

/// Names of modules that are an application more probably than a command (`man`).
const USUAL_MODULES: [&str; 3] = ["app", "main", "wsgi"];

/// Names used by service managers and other servers.
const ELSEWHERE: [(&str, Meant); 23] = [
    ("configtest", Meant::Command("check")),
    ("dump", Meant::Command("stacks")),
    ("exit", Meant::Command("stop")),
    ("graceful", Meant::Command("reload")),
    ("halt", Meant::Command("stop")),
    ("info", Meant::Command("status")),
    ("kill", Meant::Command("stop")),
    ("list", Meant::Command("status")),
    ("ps", Meant::Command("status")),
    ("quit", Meant::Command("stop")),
    ("restart", Meant::Command("reload")),
    ("run", Meant::Serve),
    ("runserver", Meant::Serve),
    ("serve", Meant::Serve),
    ("shutdown", Meant::Command("stop")),
    ("start", Meant::Serve),
    ("stats", Meant::Command("status")),
    ("test", Meant::Command("check")),
    ("threads", Meant::Command("stacks")),
    ("traceback", Meant::Command("stacks")),
    ("up", Meant::Serve),
    ("upgrade", Meant::Command("reload --upgrade")),
    ("validate", Meant::Command("check")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_commands_are_recognised() {
        for (word, expected) in [
            ("relaod", Some("scoter reload")),
            ("realod", Some("scoter reload")),
            ("reloads", Some("scoter reload")),
            ("restart", Some("scoter reload")),
            ("statsu", Some("scoter status")),
            ("chekc", Some("scoter check")),
            ("stpo", Some("scoter stop")),
            ("scael", Some("scoter scale")),
            ("stack", Some("scoter stacks")),
            ("stakcs", Some("scoter stacks")),
            ("threads", Some("scoter stacks")),
            ("topp", Some("scoter top")),
            ("shutdown", Some("scoter stop")),
            (
                "runserver",
                Some("scoter APP, which starts a server, or scoter dev, which serves a developer"),
            ),
            // After an option they are not commands.
            ("reload", Some("scoter reload")),
            ("app", None),
            ("wsgi", None),
            ("myproject", None),
            ("main", None),
            ("", None),
        ] {
            let meant = meant_by(word).map(|meant| meant.to_string());
            assert_eq!(meant.as_deref(), expected, "{word}");
        }
    }
}
