//! One option of uWSGI, as it was written.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::os_text::path;

/// One option of uWSGI with its value, in which placeholders are already replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directive {
    /// The option's name, as it was written: without `--`, and long even if it was given as a letter.
    pub(crate) key: String,
    /// The value. A name alone in a file has an empty one, as uWSGI has it; it is `None` only for an
    /// argument that is alone, such as `--vacuum`.
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

impl Place {
    /// The file that it is in.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File { file, .. } => Some(file),
            Self::Variable(_) | Self::Argument => None,
        }
    }
}

impl fmt::Display for Directive {
    /// Where it was written, and how.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, place } = self;
        match (place, value.as_deref()) {
            (Place::File { .. }, Some(value)) => write!(f, "{place}: {key} = {value}"),
            (Place::File { .. }, None) => write!(f, "{place}: {key}"),
            (Place::Variable(name), value) => write!(f, "{name}={}", value.unwrap_or_default()),
            (Place::Argument, Some(value)) => write!(f, "--{key} {value}"),
            (Place::Argument, None) => write!(f, "--{key}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_shown_as_they_were_written() {
        let file = Place::File {
            file: PathBuf::from("conf/uwsgi.ini"),
            line: 12,
        };
        let variable = Place::Variable("UWSGI_THREADS".to_owned());
        for (place, value, shown) in [
            (
                file.clone(),
                Some("lots"),
                "conf/uwsgi.ini:12: threads = lots",
            ),
            (file, None, "conf/uwsgi.ini:12: threads"),
            (variable.clone(), Some("lots"), "UWSGI_THREADS=lots"),
            (variable, None, "UWSGI_THREADS="),
            (Place::Argument, Some("lots"), "--threads lots"),
            (Place::Argument, None, "--threads"),
        ] {
            let directive = Directive {
                key: "threads".to_owned(),
                value: value.map(str::to_owned),
                place,
            };
            assert_eq!(directive.to_string(), shown);
        }
    }
}
