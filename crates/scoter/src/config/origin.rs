//! Where a value was written.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::directive::Directive;
use super::os_text::path;

/// The source of an option's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// No source sets it.
    Default,
    /// uWSGI's configuration: a directive for each value, or one for all of them. None if uWSGI itself
    /// has this value unless told otherwise.
    Uwsgi(Vec<Directive>),
    /// `scoter.toml`, or the file that `--config` names.
    File(Place),
    /// The variable `SCOTER_NAME`.
    Environment,
    /// An argument.
    CommandLine,
}

impl Origin {
    /// uWSGI's directive that the value with this index comes from.
    pub(super) fn directive(&self, index: usize) -> Option<&Directive> {
        match self {
            Self::Uwsgi(directives) => directives.get(index).or_else(|| directives.last()),
            Self::Default | Self::File(_) | Self::Environment | Self::CommandLine => None,
        }
    }
}

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file, as the operator named it.
    #[serde(with = "path")]
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}
