//! What the developer reads: short lines on standard error, without the fields of a server's log.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::terminal::has_colours;

/// Standard error.
#[derive(Debug)]
pub(super) struct Terminal {
    has_colours: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self {
            has_colours: has_colours(&io::stderr()),
        }
    }

    pub(super) fn started(&self, url: &str, application: &str) {
        let version = env!("CARGO_PKG_VERSION");
        self.say(
            BOLD,
            url,
            &format!(" serves {application} (scoter dev {version}, Ctrl-C ends it)"),
        );
    }

    pub(super) fn ready(&self) {
        self.say(GREEN, "ready", "");
    }

    pub(super) fn reloaded(&self, changed: Option<PathBuf>, took: Duration) {
        let millis = took.as_millis();
        let text = match changed {
            Some(path) => format!(" in {millis} ms: {} has changed", shown(&path)),
            None => format!(" in {millis} ms"),
        };
        self.say(GREEN, "reloaded", &text);
    }

    /// There is no code that works.
    pub(super) fn broken(&self, problem: &str) {
        let problem = printable(problem);
        let text =
            format!(" (browsers are shown why; it is tried again at the next save)\n{problem}");
        self.say(RED, "the application does not work", &text);
    }

    pub(super) fn reload_failed(&self, problem: &str) {
        let problem = printable(problem);
        let text = format!(" (the code of before still serves)\n{problem}");
        self.say(RED, "what was saved last does not work", &text);
    }

    /// Writes a line in one piece.
    fn say(&self, colour: &str, coloured: &str, rest: &str) {
        let line = match self.has_colours {
            true => format!("{colour}{coloured}{RESET}{rest}\n"),
            false => format!("{coloured}{rest}\n"),
        };
        // Without a standard error there is nobody to tell.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// A path as the developer would write it.
fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path);
    printable(&path.display().to_string())
}

/// Text of an application, in which nothing is a command to a terminal.
fn printable(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() && c != '\t' && c != '\n';
    text.chars()
        .map(|c| if is_harmful(c) { '\u{fffd}' } else { c })
        .collect()
}

/// ECMA-48, "Select graphic rendition".
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";
