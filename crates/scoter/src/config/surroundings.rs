//! The process as the configuration sees it: its environment and its directory.

use std::ffi::OsString;
use std::path::PathBuf;

use super::directory::working_directory;

/// What is read besides arguments and the file.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) variables: Vec<(OsString, OsString)>,
    /// Where relative paths start.
    pub(super) directory: PathBuf,
}

impl Surroundings {
    /// Those of this process, now.
    pub(super) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            directory: working_directory().to_owned(),
        }
    }

    /// A variable that is set, and not to nothing.
    pub(super) fn variable(&self, name: &str) -> Option<&OsString> {
        let values = self.variables.iter().filter(|(found, _)| found == name);
        values
            .map(|(_, value)| value)
            .next()
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl Surroundings {
    pub(super) fn of_test(directory: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter();
        Self {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            directory: directory.to_owned(),
        }
    }
}
