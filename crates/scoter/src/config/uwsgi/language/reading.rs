//! What was read.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::config::uwsgi::directive::{Directive, Place};

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// In the order in which uWSGI applies them: of those that set the same thing the last counts. What
    /// the language consists of is among them, such as `ini`, `if-env` and `endif`: it has had its effect.
    pub(crate) directives: Vec<Directive>,
    /// The names that are placeholders: another value has them in `%(…)`, or `set-placeholder` made them.
    /// Such a name is no mistake if uWSGI has no option of that name.
    pub(crate) placeholders: BTreeSet<String>,
    /// The absolute paths of the configuration's files, in the order in which they were read.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) warnings: Vec<Warning>,
}

/// What is probably not meant as it is written, or is read differently here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}
