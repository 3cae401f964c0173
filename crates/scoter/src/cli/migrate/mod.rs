//! `scoter migrate`: writes what takes the place of uWSGI's configuration, and reports what changes.

mod output;
mod trial;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::check::Extent;
use crate::config::{ConfigError, Migration, UwsgiCall};
use crate::program::Program;

pub(super) use output::Existing;

use output::OutputError;

/// What is asked of `scoter migrate`.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) call: UwsgiCall,
    /// Files with more `UWSGI_` variables.
    pub(super) env_files: Vec<PathBuf>,
    /// The directory to write to, in place of stdout.
    pub(super) output: Option<PathBuf>,
    pub(super) existing: Existing,
    /// How much of the result is checked.
    pub(super) extent: Extent,
}

/// Migrates, and returns the exit code.
///
/// # Errors
///
/// [`ConfigError`], if uWSGI's configuration cannot be read.
pub(super) fn run(program: &Program, request: &Request) -> Result<u8, ConfigError> {
    let migration = Migration::of(&request.call, &request.env_files)?;
    if migration.is_empty() {
        say(
            "error: nothing to migrate: name uWSGI's configuration, as in scoter migrate uwsgi.ini",
        );
        return Ok(2);
    }
    let written = write(&migration, request);
    say(migration.report().trim_end());
    let checked = match &written {
        Ok(written) => trial::check(program, &migration, written.as_deref(), request.extent),
        Err(error) => {
            say(&format!("\nerror: {error}"));
            return Ok(1);
        }
    };
    say(&format!("\nscoter check: {}", checked.message));
    Ok(match (checked.is_valid, migration.loses_behaviour()) {
        (false, _) => 2,
        (true, loses) => u8::from(loses),
    })
}

/// Writes the files, and returns the path of `scoter.toml` if it has one.
fn write(migration: &Migration, request: &Request) -> Result<Option<PathBuf>, OutputError> {
    match &request.output {
        None => {
            let here = std::env::current_dir().unwrap_or_default();
            let files = migration.files(&here);
            output::print(&files)?;
            Ok(None)
        }
        Some(directory) => {
            let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
            let files = migration.files(&absolute);
            output::write(&files, directory, request.existing)?;
            for file in &files {
                say(&format!(
                    "written: {}",
                    directory.join(&file.name).display()
                ));
            }
            say("");
            Ok(files.first().map(|toml| directory.join(&toml.name)))
        }
    }
}

/// On stderr, since stdout is the result's.
fn say(text: &str) {
    // If it cannot be written, the exit code still says what matters.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What a check of the result found.
#[derive(Debug)]
struct Checked {
    /// Whether a server would take the configuration.
    is_valid: bool,
    message: String,
}

/// How to call the result in advice.
fn named(path: Option<&Path>) -> String {
    path.map_or_else(
        || "scoter.toml".to_owned(),
        |path| path.display().to_string(),
    )
}
