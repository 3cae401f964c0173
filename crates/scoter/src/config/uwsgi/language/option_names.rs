//! The names that options have.

use std::collections::HashMap;

use crate::config::uwsgi::options::{Argument, all, find_letter};

/// The names of uWSGI's options, and of those that the configuration declares.
pub(super) struct OptionNames {
    built_in: HashMap<&'static str, Argument>,
    /// Those of `declare-option`.
    declared: Vec<(String, Argument)>,
}

/// An option that an argument names.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) argument: Argument,
}

/// Why an argument names no option.
pub(super) enum Unnamed {
    Unknown,
    Ambiguous(Vec<String>),
}

impl OptionNames {
    pub(super) fn new() -> Self {
        Self {
            built_in: all()
                .map(|(option, _)| (option.name, option.argument))
                .collect(),
            declared: Vec::new(),
        }
    }

    pub(super) fn declare(&mut self, name: &str, argument: Argument) {
        self.declared.push((name.to_owned(), argument));
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.is_built_in(name) || self.declared.iter().any(|(other, _)| other == name)
    }

    /// Whether it is one of uWSGI's own.
    pub(super) fn is_built_in(&self, name: &str) -> bool {
        self.built_in.contains_key(name)
    }

    /// The option of a letter.
    pub(super) fn letter(&self, letter: char) -> Option<Named<'static>> {
        find_letter(letter).map(|(option, _)| Named {
            name: option.name,
            argument: option.argument,
        })
    }

    /// The option of a name, or of the beginning of one, as getopt_long(3) finds it.
    pub(super) fn long(&self, written: &str) -> Result<Named<'_>, Unnamed> {
        let named = self.all().filter(|named| named.name.starts_with(written));
        let mut candidates: Vec<_> = named.collect();
        if let Some(exact) = candidates.iter().position(|named| named.name == written) {
            return Ok(candidates.swap_remove(exact));
        }
        if candidates.len() > 1 {
            let names = candidates.iter().map(|named| named.name.to_owned());
            return Err(Unnamed::Ambiguous(names.collect()));
        }
        candidates.pop().ok_or(Unnamed::Unknown)
    }

    /// The option that is written most like this.
    pub(super) fn similar(&self, written: &str) -> Option<String> {
        // No option is longer.
        if written.len() > 40 {
            return None;
        }
        let near = self.all().filter_map(|named| {
            let distance = strsim::osa_distance(written, named.name);
            (distance <= 2 && distance * 3 <= written.len()).then_some((distance, named.name))
        });
        near.min().map(|(_, name)| name.to_owned())
    }

    fn all(&self) -> impl Iterator<Item = Named<'_>> {
        // In the order of the table, which messages keep.
        let built_in = all().map(|(option, _)| Named {
            name: option.name,
            argument: option.argument,
        });
        let declared = self.declared.iter().map(|(name, argument)| Named {
            name,
            argument: *argument,
        });
        built_in.chain(declared)
    }
}
