//! Whether output may have colours.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether a stream is a terminal that shows colours, and its user wants them.
pub(crate) fn are_wanted_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
        && are_wanted(
            env::var_os("NO_COLOR").as_deref(),
            env::var_os("TERM").as_deref(),
        )
}

/// Whether the user of a terminal wants colours, and it shows them (no-color.org: "when present and
/// not an empty string"; term(7): `dumb` has no control sequences).
fn are_wanted(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    let is_set = |value: Option<&OsStr>| value.is_some_and(|value| !value.is_empty());
    !is_set(no_color) && is_set(term) && term != Some(OsStr::new("dumb"))
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
