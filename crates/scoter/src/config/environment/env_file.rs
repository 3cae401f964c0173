//! Files of environment variables.
//!
//! systemd's `EnvironmentFile=` and `docker run --env-file` read such files, and so do shells and
//! libraries, each with rules of its own. A line is taken if all that read it agree on what it means, or if
//! it is in the quotes that all but docker remove. Where they differ, somebody would get another secret
//! than the one that was meant, so such a line is a mistake, and the message says how to write it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::env_var::{EnvVar, is_name};
use crate::config::error::Problem;

/// A file of environment variables.
#[derive(Debug)]
pub(in crate::config) struct EnvFile {
    path: PathBuf,
    text: String,
}

impl EnvFile {
    pub(in crate::config) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            text: fs::read_to_string(path)?,
        })
    }

    /// Its variables, in its order, and the lines that are mistakes.
    pub(in crate::config) fn variables(&self) -> (Vec<EnvVar>, Vec<Problem>) {
        let (mut variables, mut problems) = (Vec::new(), Vec::new());
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        for (index, line) in text.lines().enumerate() {
            match variable(line) {
                Ok(found) => variables.extend(found),
                Err(reason) => problems.push(Problem::Variable {
                    file: self.path.clone(),
                    line: index + 1,
                    reason,
                }),
            }
        }
        (variables, problems)
    }
}

/// The variable that a line sets; `None` if it is empty or a comment.
fn variable(line: &str) -> Result<Option<EnvVar>, String> {
    let line = line.trim_start();
    // systemd.exec(5), EnvironmentFile=: a semicolon begins a comment, too.
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    let Some((name, value)) = line.split_once('=') else {
        return Err("expected NAME=VALUE".to_owned());
    };
    if name.starts_with("export ") {
        return Err("remove the word export: only shells know it".to_owned());
    }
    let bare = name.trim_end();
    if is_name(bare) && (bare != name || value.starts_with(char::is_whitespace)) {
        return Err(format!(
            "{bare}: remove the spaces beside the equals sign: some read them as part of the value"
        ));
    }
    let value = unquoted(value).map_err(|reason| format!("{name}: {reason}"))?;
    EnvVar::new(name, OsString::from(value)).map(Some)
}

/// A value without its quotes.
fn unquoted(value: &str) -> Result<String, &'static str> {
    match value.chars().next() {
        Some('\'') => {
            let inner = enclosed(value, '\'')?;
            match inner.contains('\'') {
                true => Err("there is a single quote within single quotes"),
                false => Ok(inner.to_owned()),
            }
        }
        Some('"') => unescaped(enclosed(value, '"')?),
        _ => bare(value),
    }
}

/// What is between the quotes, which end with the line.
fn enclosed(value: &str, quote: char) -> Result<&str, &'static str> {
    let inner = value.strip_prefix(quote).unwrap_or(value);
    match inner.trim_end().strip_suffix(quote) {
        Some(inner) => Ok(inner),
        None if inner.contains(quote) => {
            Err("nothing may follow the closing quote: write comments on lines of their own")
        }
        None => Err("the quote is not closed on this line: a value has one line"),
    }
}

/// A value between double quotes, where systemd and shells agree on four escapes.
fn unescaped(inner: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err("there is a double quote within double quotes: write \\\""),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                _ => {
                    return Err(
                        "within double quotes a backslash stands only before \\, \", $ and `: use \
                         single quotes for a value with backslashes",
                    );
                }
            },
            c => value.push(c),
        }
    }
    Ok(value)
}

/// A value without quotes.
fn bare(value: &str) -> Result<String, &'static str> {
    if value.contains('\\') {
        return Err(
            "systemd drops a backslash and docker keeps it: put the value into single quotes, \
             on one line",
        );
    }
    if value.ends_with(char::is_whitespace) {
        return Err("remove the space at the end, or put the value into quotes");
    }
    let has_comment = value
        .match_indices('#')
        .any(|(at, _)| value[..at].ends_with(char::is_whitespace));
    if has_comment {
        return Err(
            "some read what follows # as a comment: write it on a line of its own, or put the \
             value into quotes",
        );
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_on_which_readers_agree_are_taken() {
        for (line, expected) in [
            ("A=b", Some("b")),
            ("  A=b", Some("b")),
            ("A=", Some("")),
            ("A=b c=d", Some("b c=d")),
            (
                "A=postgres://u:p@h/d?x=y#z",
                Some("postgres://u:p@h/d?x=y#z"),
            ),
            ("A={\"a\": [1]}", Some("{\"a\": [1]}")),
            ("A=$HOME ${B}", Some("$HOME ${B}")),
            ("A='b # c\\n\"$d '", Some("b # c\\n\"$d ")),
            ("A=\"b # 'c' \"", Some("b # 'c' ")),
            ("A=\"\\\"\\\\\\$\\`\"", Some("\"\\$`")),
            ("A=''", Some("")),
            ("A='b'  ", Some("b")),
            ("A=it's", Some("it's")),
            ("A=caf\u{e9}", Some("caf\u{e9}")),
            ("", None),
            ("   ", None),
            ("# A=b", None),
            ("  ; A=b", None),
        ] {
            let found = variable(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let value = found.map(|it| it.value.into_string().unwrap());
            assert_eq!(value.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn lines_on_which_readers_differ_are_refused_without_their_values() {
        for (line, reason) in [
            ("A", "expected NAME=VALUE"),
            ("export A=secret", "remove the word export"),
            ("A =secret", "A: remove the spaces beside the equals sign"),
            ("A= secret", "A: remove the spaces beside the equals sign"),
            ("A = secret", "A: remove the spaces beside the equals sign"),
            ("A=secret ", "A: remove the space at the end"),
            ("A=secret # which", "A: some read what follows #"),
            ("A=\\secret", "A: systemd drops a backslash"),
            ("A=secret\\", "A: systemd drops a backslash"),
            ("A=\"secret\\n\"", "A: within double quotes a backslash"),
            ("A=\"secret\\", "A: the quote is not closed"),
            ("A=\"secret", "A: the quote is not closed"),
            ("A='secret", "A: the quote is not closed"),
            (
                "A='secret' # which",
                "A: nothing may follow the closing quote",
            ),
            ("A='sec'ret'", "A: there is a single quote within"),
            ("A=\"sec\"ret\"", "A: there is a double quote within"),
            ("1A=secret", "is not the name of a variable"),
            ("A.B=secret", "is not the name of a variable"),
            ("=secret", "is not the name of a variable"),
            ("SCOTER_THREADS=secret", "cannot be set here"),
        ] {
            let error = variable(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
            assert!(!error.contains("secret"), "{line}: {error}");
        }
    }

    #[test]
    fn line_ends_of_windows_and_a_byte_order_mark_are_no_part_of_it() {
        let file = EnvFile {
            path: PathBuf::from("prod.env"),
            text: "\u{feff}A=b\r\nC='d'\r\n\r\nE=f".to_owned(),
        };
        let (variables, problems) = file.variables();
        assert!(problems.is_empty(), "{problems:?}");
        let values: Vec<_> = variables.iter().map(|it| it.value.clone()).collect();
        assert_eq!(values, ["b", "d", "f"]);
    }
}
