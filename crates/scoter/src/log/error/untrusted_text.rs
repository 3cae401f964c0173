//! Untrusted text in the text log: from an application or a peer.
//!
//! A line of ours begins with the time. So that no other line can pass for one, each further
//! line of a message begins with [`MARK`], and so does each line of `wsgi.errors`. So that a
//! client cannot send commands to a terminal, control characters other than tabs are written
//! as `\xXX`.

use std::fmt::{self, Write};

/// Writes the text of a message, whose first line follows the time.
pub(super) fn write_message(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut lines = text.split('\n');
    if let Some(first) = lines.next() {
        write_escaped(out, first)?;
    }
    for line in lines {
        out.write_char('\n')?;
        write_marked(out, line)?;
    }
    Ok(())
}

/// Writes whole lines that have no prefix of the server.
pub(super) fn write_lines(out: &mut impl Write, lines: &str) -> fmt::Result {
    for line in lines.split_terminator('\n') {
        write_marked(out, line)?;
        out.write_char('\n')?;
    }
    Ok(())
}

fn write_marked(out: &mut impl Write, line: &str) -> fmt::Result {
    out.write_str(MARK)?;
    write_escaped(out, line)
}

fn write_escaped(out: &mut impl Write, line: &str) -> fmt::Result {
    let is_harmful = |c: char| c.is_control() && c != '\t';
    let mut rest = line;
    while let Some(at) = rest.find(is_harmful) {
        let (plain, harmful) = rest.split_at(at);
        out.write_str(plain)?;
        let mut harmful = harmful.chars();
        if let Some(c) = harmful.next() {
            write!(out, "\\x{:02x}", u32::from(c))?;
        }
        rest = harmful.as_str();
    }
    out.write_str(rest)
}

/// The prefix of a line that continues a message or is the application's.
const MARK: &str = "| ";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let mut out = String::new();
        write_message(&mut out, text).unwrap();
        out
    }

    fn lines(text: &str) -> String {
        let mut out = String::new();
        write_lines(&mut out, text).unwrap();
        out
    }

    #[test]
    fn lines_after_the_first_are_marked() {
        for (text, expected) in [
            ("", ""),
            ("one line", "one line"),
            (
                "uri=\"/\" traceback=\nTraceback\n  File\n",
                "uri=\"/\" traceback=\n| Traceback\n|   File\n| ",
            ),
            (
                "a\n2026-11-30T03:00:00Z  INFO ready",
                "a\n| 2026-11-30T03:00:00Z  INFO ready",
            ),
            ("a\n| b", "a\n| | b"),
        ] {
            assert_eq!(message(text), expected);
        }
    }

    #[test]
    fn every_line_of_an_application_is_marked() {
        for (text, expected) in [
            ("one\n", "| one\n"),
            ("one\ntwo\n", "| one\n| two\n"),
            ("\n", "| \n"),
            ("without an end", "| without an end\n"),
        ] {
            assert_eq!(lines(text), expected);
        }
    }

    #[test]
    fn control_characters_except_tabs_are_escaped() {
        for (text, expected) in [
            ("\x1b[2J\x07", "\\x1b[2J\\x07"),
            ("a\rb\tc\0\x7f", "a\\x0db\tc\\x00\\x7f"),
            ("\u{9b}31m caf\u{e9}", "\\x9b31m caf\u{e9}"),
        ] {
            assert_eq!(message(text), expected);
            assert_eq!(lines(&format!("{text}\n")), format!("| {expected}\n"));
        }
    }
}
