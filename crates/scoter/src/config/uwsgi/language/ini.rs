//! Lines of an ini file.

use super::entry::{Entries, Entry};
use super::magic::Text;

/// The options in the sections with this name, in all of them.
///
/// No line is continued, quotes belong to the value, and only a whole line can be a comment: uWSGI's
/// core/ini.c.
pub(super) fn entries(text: &Text, section: &str) -> Entries {
    let mut current: &[u8] = b"";
    let mut entries = Entries::default();
    for (number, line) in text.bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = trim(line);
        match line.first() {
            None | Some(b';' | b'#') => {}
            // uWSGI cuts off the last byte, whatever it is.
            Some(b'[') => current = &line[1..line.len().max(2) - 1],
            Some(_) if current == section.as_bytes() => {
                let equals = line.iter().position(|byte| *byte == b'=');
                let (key, value) = match equals {
                    Some(equals) => (&line[..equals], &line[equals + 1..]),
                    None => (line, &[][..]),
                };
                entries.list.push(Entry {
                    key: trim(key).to_vec(),
                    value: trim(value).to_vec(),
                    line: text.line(number + 1),
                });
            }
            Some(_) => {}
        }
        if line.first() == Some(&b'[') && is_almost(line, section) {
            entries.almost = Some(text.line(number + 1));
        }
    }
    entries
}

/// Whether a line looks like the section's name, but is not.
fn is_almost(line: &[u8], section: &str) -> bool {
    let inside = line[1..].split(|byte| *byte == b']').next();
    let inside = inside.unwrap_or_default().trim_ascii();
    let is_exact = line
        .strip_prefix(b"[")
        .and_then(|line| line.strip_suffix(b"]"));
    inside.eq_ignore_ascii_case(section.as_bytes()) && is_exact != Some(section.as_bytes())
}

/// Without the blanks that uWSGI knows.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = text {
        text = rest;
    }
    text
}
