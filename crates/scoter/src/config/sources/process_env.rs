//! The parts of the process that the configuration reads: environment and working directory.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::sys::working_directory::working_directory;

/// The inputs besides the arguments and the file.
#[derive(Debug)]
pub(in crate::config) struct ProcessEnv {
    pub(in crate::config) variables: Vec<(OsString, OsString)>,
    /// The directory that relative paths are resolved against.
    pub(in crate::config) directory: PathBuf,
}

impl ProcessEnv {
    /// The current ones of this process.
    pub(in crate::config) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            directory: working_directory().to_owned(),
        }
    }

    /// The value of a variable, unless it is unset or empty.
    pub(in crate::config) fn variable(&self, name: &str) -> Option<&OsString> {
        let values = self.variables.iter().filter(|(found, _)| found == name);
        values
            .map(|(_, value)| value)
            .next()
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl ProcessEnv {
    pub(in crate::config) fn of_test(
        directory: &std::path::Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let variables = variables.iter();
        Self {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            directory: directory.to_owned(),
        }
    }
}
