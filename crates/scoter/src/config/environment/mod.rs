//! The environment variables of the application: `--env` and `--env-file`.

mod env_file;

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

pub(in crate::config) use env_file::EnvFile;

use super::env_var::EnvVar;
use super::error::{ConfigError, Problem};
use super::table::Options;

/// Variables with their values, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment(Vec<EnvVar>);

impl Environment {
    /// Reads the files, and merges what is in them with `--env`: what comes last counts, and `--env`
    /// comes after all files.
    ///
    /// The files are read here and nowhere else: by the master, before it gives up its privileges.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names every file that cannot be read, and every line that is not
    /// understood.
    pub(crate) fn of(options: &Options) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut environment = Self::default();
        for path in &options.env_file {
            match EnvFile::read(path) {
                Ok(file) => {
                    let (variables, mistakes) = file.variables();
                    variables.into_iter().for_each(|it| environment.set(it));
                    problems.extend(mistakes);
                }
                Err(error) => problems.push(Problem::UnreadableVariables {
                    path: path.clone(),
                    error,
                }),
            }
        }
        options
            .env
            .iter()
            .cloned()
            .for_each(|it| environment.set(it));
        match problems.is_empty() {
            true => Ok(environment),
            false => Err(ConfigError::Problems(problems)),
        }
    }

    /// The names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.0.iter().map(|it| (&*it.name, &it.value))
    }

    fn set(&mut self, variable: EnvVar) {
        match self.0.iter_mut().find(|it| it.name == variable.name) {
            Some(ours) => *ours = variable,
            None => self.0.push(variable),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::Settings;

    fn environment(arguments: &[&str], folder: &Path) -> Result<Vec<String>, String> {
        let arguments = [&["app"], arguments].concat();
        let settings = Settings::of(&arguments, &[], folder).map_err(|it| it.to_string())?;
        let options = settings.options().map_err(|it| it.to_string())?;
        let environment = Environment::of(&options).map_err(|it| it.to_string())?;
        let texts = environment.iter();
        Ok(texts
            .map(|(name, value)| format!("{name}={}", value.display()))
            .collect())
    }

    #[test]
    fn what_comes_last_counts_and_options_come_after_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("a"), "A=1\nB=1\nC=1\nC=2\n").unwrap();
        fs::write(folder.join("b"), "B=3\n").unwrap();
        let arguments = ["--env=A=4", "--env=D=5", "--env=D=6"];
        let files = ["--env-file=a", "--env-file=b"];
        assert_eq!(
            environment(&[&arguments[..], &files].concat(), folder).unwrap(),
            ["A=4", "B=3", "C=2", "D=6"]
        );
    }

    #[test]
    fn every_mistake_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("a"), "A 1\nB=1\n1C=2\n").unwrap();
        let error = environment(&["--env-file=a", "--env-file=no"], folder).unwrap_err();
        let lines: Vec<_> = error
            .lines()
            .filter(|line| !line.starts_with("hint"))
            .collect();
        assert_eq!(lines.len(), 3, "{error}");
        for (line, expected) in lines.iter().zip(["/a:1: ", "/a:3: ", "/no: "]) {
            assert!(line.contains(expected), "{line}");
        }
    }

    #[test]
    fn table_of_the_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = "env-file = 'a'\n[env]\nTZ = 'Europe/Paris'\nPORT = 80\n'EMPTY' = ''\n";
        fs::write(folder.join("scoter.toml"), file).unwrap();
        fs::write(folder.join("a"), "TZ=UTC\n").unwrap();
        assert_eq!(
            environment(&[], folder).unwrap(),
            ["TZ=Europe/Paris", "PORT=80", "EMPTY="]
        );
    }
}
