//! What a terminal can show, and what its user wants to see.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether colours may be written to a stream.
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let [no_color, term] = ["NO_COLOR", "TERM"].map(env::var_os);
    stream.is_terminal() && are_wanted(no_color.as_deref(), term.as_deref())
}

/// Whether a stream is a terminal in which the cursor can be moved.
pub(crate) fn has_cursor(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb(env::var_os("TERM").as_deref())
}

/// Whether the user of a terminal wants colours, and it shows them (no-color.org: "when present and
/// not an empty string").
fn are_wanted(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && !is_dumb(term)
}

/// term(7): `dumb` has no control sequences.
fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them_and_users_who_want_them() {
        for (no_color, term, expected) in [
            (None, Some("xterm-256color"), true),
            (None, Some("linux"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (Some("0"), Some("xterm"), false),
            (None, Some("dumb"), false),
            (None, Some(""), false),
            (None, None, false),
            (Some("1"), Some("dumb"), false),
        ] {
            let wanted = are_wanted(no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(wanted, expected, "NO_COLOR={no_color:?} TERM={term:?}");
        }
    }
}
