//! How directives are named to people.

use std::fmt::Write;
use std::path::PathBuf;

use super::configuration::UwsgiConfiguration;
use super::directive::Directive;
use super::translation::{Kind, Note};

/// A directive with its place, `uwsgi.ini:12: harakiri = 30`, on one line. The value of a variable may
/// be a secret.
pub(super) fn with_place(directive: &Directive) -> String {
    let value = match directive.value.as_deref() {
        None | Some("") => None,
        Some(value) => match value.split_once('=').filter(|_| directive.key == ENV) {
            Some((name, _)) => Some(format!("{name}=…")),
            None => Some(value.to_owned()),
        },
    };
    let shown = Directive {
        value,
        ..directive.clone()
    };
    one_line(&shown.to_string())
}

/// What a note says, with what was meant, on one line.
pub(super) fn advice(note: &Note) -> String {
    let meant = match note.kind {
        Kind::Misspelt(meant) if !note.text.contains(meant) => format!("did you mean {meant}? "),
        _ => String::new(),
    };
    one_line(format!("{meant}{}", note.text).trim_end())
}

/// Without line breaks and other control characters: the files have one comment to a line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_debug());
        } else {
            line.push(character);
        }
    }
    line
}

/// What was read: the first file, as it was named, and how many others.
pub(super) fn source(configuration: &UwsgiConfiguration) -> String {
    let mut named = configuration
        .directives
        .iter()
        .filter_map(|it| it.place.file());
    let first = named
        .next()
        .or_else(|| configuration.files.first().map(PathBuf::as_path));
    let name = first.map(|file| file.display().to_string());
    let named = match (name, configuration.files.len()) {
        (Some(name), 0 | 1) => name,
        (Some(name), 2) => format!("{name} and another file"),
        (Some(name), all) => format!("{name} and {} other files", all - 1),
        (None, _) => "uWSGI's configuration".to_owned(),
    };
    one_line(&named)
}

/// The text in lines of at most `width` characters, each after the prefix. Longer words stay whole.
pub(super) fn wrapped(text: &str, prefix: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_full = !line.is_empty()
            && prefix.chars().count() + line.chars().count() + 1 + word.chars().count() > width;
        if is_full {
            let _ = writeln!(lines, "{prefix}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(lines, "{prefix}{line}");
    }
    lines
}

/// The option that sets a variable.
const ENV: &str = "env";

/// Lines that are longer are hard to read.
pub(super) const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directive::Place;

    #[test]
    fn words_fill_lines() {
        assert_eq!(wrapped("one two three", "# ", 9), "# one two\n# three\n");
        assert_eq!(wrapped("unbreakable", "# ", 5), "# unbreakable\n");
        assert_eq!(wrapped("", "# ", 5), "");
    }

    #[test]
    fn directive_is_one_line() {
        for (key, value, expected) in [
            ("set", Some("A=1\n[x]"), "--set A=1\\n[x]"),
            ("env", Some("PASSWORD=secret"), "--env PASSWORD=…"),
            ("env", Some("DEBUG"), "--env DEBUG"),
            ("vacuum", None, "--vacuum"),
            ("vacuum", Some(""), "--vacuum"),
        ] {
            let directive = Directive {
                key: key.to_owned(),
                value: value.map(str::to_owned),
                place: Place::Argument,
            };
            assert_eq!(with_place(&directive), expected);
        }
    }
}
