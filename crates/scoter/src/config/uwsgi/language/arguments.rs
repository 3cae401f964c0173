//! The command line, as getopt_long(3) reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::error::Mistake;
use super::option_names::{OptionNames, Unnamed};
use crate::config::uwsgi::options::Argument;

/// Arguments that are being read.
pub(super) struct Arguments<'a> {
    rest: std::slice::Iter<'a, OsString>,
    /// What remains of an argument with several letters.
    letters: Option<&'a str>,
    /// Those that are no options: uWSGI reads them when it has read all options.
    others: Vec<&'a OsStr>,
}

/// An option with its value.
pub(super) struct Given {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(arguments: &'a [OsString]) -> Self {
        Self {
            rest: arguments.iter(),
            letters: None,
            others: Vec::new(),
        }
    }

    /// The next option. Which there are may change from one to the next.
    pub(super) fn next(&mut self, options: &OptionNames) -> Result<Option<Given>, Mistake> {
        loop {
            if let Some(letters) = self.letters.take() {
                return self.letter(letters, options).map(Some);
            }
            let Some(argument) = self.rest.next() else {
                return Ok(None);
            };
            match argument.as_bytes() {
                b"--" => {
                    let rest = std::mem::take(&mut self.rest);
                    self.others.extend(rest.map(OsString::as_os_str));
                    return Ok(None);
                }
                [b'-', b'-', ..] => return self.long(&text(argument)?[2..], options).map(Some),
                [b'-', _, ..] => self.letters = Some(&text(argument)?[1..]),
                _ => self.others.push(argument),
            }
        }
    }

    /// The arguments that are no options, once there is no option left.
    pub(super) fn others(self) -> Vec<&'a OsStr> {
        self.others
    }

    fn long(&mut self, written: &str, options: &OptionNames) -> Result<Given, Mistake> {
        let (name, value) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (written, None),
        };
        let named = options.long(name).map_err(|error| match error {
            Unnamed::Unknown => Mistake::UnknownOption {
                written: format!("--{name}"),
                suggestion: options.similar(name),
            },
            Unnamed::Ambiguous(candidates) => Mistake::Ambiguous {
                written: format!("--{name}"),
                candidates: candidates.iter().map(|name| format!("--{name}")).collect(),
            },
        })?;
        let value = match (named.argument, value) {
            (Argument::None, Some(_)) => {
                return Err(Mistake::UnwantedValue {
                    name: named.name.to_owned(),
                });
            }
            (Argument::Required, None) => Some(self.value(&format!("--{}", named.name))?),
            (_, value) => value,
        };
        Ok(Given {
            key: named.name.to_owned(),
            value,
        })
    }

    fn letter(&mut self, letters: &'a str, options: &OptionNames) -> Result<Given, Mistake> {
        let mut chars = letters.chars();
        // There is one: an argument of nothing but `-` is no option.
        let letter = chars.next().unwrap_or('-');
        let rest = chars.as_str();
        // getopt(3) keeps these two for itself.
        let named = match letter {
            ':' | ';' => None,
            letter => options.letter(letter),
        };
        let Some(named) = named else {
            let is_word = options.is_built_in(letters);
            return Err(Mistake::UnknownOption {
                written: format!("-{letter}"),
                suggestion: is_word.then(|| letters.to_owned()),
            });
        };
        let attached = (!rest.is_empty()).then_some(rest);
        let value = match named.argument {
            Argument::None => {
                self.letters = attached;
                None
            }
            Argument::Optional => attached.map(str::to_owned),
            Argument::Required => match attached {
                Some(attached) => Some(attached.to_owned()),
                None => Some(self.value(&format!("-{letter}"))?),
            },
        };
        Ok(Given {
            key: named.name.to_owned(),
            value,
        })
    }

    /// The next argument, whatever it is.
    fn value(&mut self, written: &str) -> Result<String, Mistake> {
        let Some(argument) = self.rest.next() else {
            return Err(Mistake::MissingValue {
                written: written.to_owned(),
            });
        };
        Ok(text(argument)?.to_owned())
    }
}

fn text(argument: &OsStr) -> Result<&str, Mistake> {
    argument.to_str().ok_or_else(|| Mistake::TextNotUtf8 {
        what: format!("{argument:?}"),
    })
}
