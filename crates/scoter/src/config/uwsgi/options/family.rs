//! Options of uWSGI, in families that share a fate.

use super::fate::{Conversion, Fate, Where};

/// An option of uWSGI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TheirOption {
    /// Its name, as in a file, or after `--`.
    pub(crate) name: &'static str,
    /// Its letter on the command line.
    pub(crate) letter: Option<char>,
    /// Whether the command line takes a value after it.
    pub(crate) argument: Argument,
    /// What it does with values.
    pub(crate) value: Value,
}

/// Whether a value follows on the command line. In files, each option may have one, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    None,
    /// Only behind `=`, or directly behind the letter.
    Optional,
    Required,
}

/// What an option does with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// Off by `false`, `off`, `no` and `0`, on by everything else (`uwsgi_opt_true` of uWSGI). The
    /// last one counts.
    Flag,
    /// A number, of which the last counts.
    Number,
    /// A text, of which the last counts.
    Text,
    /// Each counts.
    List,
}

/// Options with the same fate, usually names for the same thing.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) fate: Fate,
    pub(crate) options: &'static [TheirOption],
}

pub(super) const fn family(fate: Fate, options: &'static [TheirOption]) -> Family {
    Family { fate, options }
}

pub(super) const fn mapped(
    to: &'static [&'static str],
    conversion: Conversion,
    difference: &'static str,
) -> Fate {
    Fate::Mapped {
        to,
        conversion,
        difference,
    }
}

pub(super) const fn read(by: &'static str) -> Fate {
    Fate::Read(by)
}

pub(super) const fn nothing(reason: &'static str) -> Fate {
    Fate::NothingToDo(reason)
}

pub(super) const fn elsewhere(place: Where, advice: &'static str) -> Fate {
    Fate::Elsewhere(place, advice)
}

pub(super) const fn gone(advice: &'static str) -> Fate {
    Fate::Gone(advice)
}

pub(super) const fn flag(name: &'static str) -> TheirOption {
    named(name, Argument::None, Value::Flag)
}

pub(super) const fn int(name: &'static str) -> TheirOption {
    named(name, Argument::Required, Value::Number)
}

pub(super) const fn text(name: &'static str) -> TheirOption {
    named(name, Argument::Required, Value::Text)
}

pub(super) const fn list(name: &'static str) -> TheirOption {
    named(name, Argument::Required, Value::List)
}

const fn named(name: &'static str, argument: Argument, value: Value) -> TheirOption {
    TheirOption {
        name,
        letter: None,
        argument,
        value,
    }
}

impl TheirOption {
    pub(super) const fn letter(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    pub(super) const fn bare(mut self) -> Self {
        self.argument = Argument::None;
        self
    }

    pub(super) const fn optional(mut self) -> Self {
        self.argument = Argument::Optional;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.argument = Argument::Required;
        self
    }
}
