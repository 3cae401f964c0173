//! One option of uWSGI, as it was written.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::os_text::path;

/// One option of uWSGI with its value, in which placeholders are already replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directive {
    /// The option's name, as it was written: without `--`, and long even if it was given as a letter.
    pub(crate) key: String,
    /// The value. `None` for a name alone, such as `vacuum` on a line of its own.
    pub(crate) value: Option<String>,
    pub(crate) place: Place,
}

/// Where a directive was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    /// A line of a file, counted from 1.
    File {
        #[serde(with = "path")]
        file: PathBuf,
        line: usize,
    },
    /// The variable with this name, such as `UWSGI_PROCESSES`.
    Variable(String),
    /// An argument.
    Argument,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Argument => f.write_str("the command line"),
        }
    }
}
