//! Whether APP is an application, or a mistyped command.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

use super::commands::COMMANDS;
use super::similar_command::meant_by;
use crate::config::{Code, Options, Settings, Source, Target};
use crate::program::Program;
use crate::start::StartError;

/// Checks whether the APP on the command line is a mistyped command. If a module or a file has that
/// name, it is the application.
///
/// Call it before the sockets are bound: the server that the command was meant for holds them.
///
/// # Errors
///
/// [`StartError::MistypedCommand`] names the command.
pub(super) fn check(
    py: Python<'_>,
    program: &Program,
    settings: &Settings,
    options: &Options,
) -> Result<(), StartError> {
    let Some(Target::Code(Code {
        source: Source::Module(word),
        callable: None,
        ..
    })) = &options.app
    else {
        return Ok(());
    };
    if !settings.get("app").is_from_command_line() {
        return Ok(());
    }
    match meant_by(word) {
        // If the check fails, loading the application will report why.
        Some(meant) if !is_there(py, word, program, options).unwrap_or(true) => {
            let commands: Vec<_> = COMMANDS.iter().map(|entry| entry.name).collect();
            Err(StartError::MistypedCommand {
                word: word.clone(),
                meant: meant.to_string(),
                commands: commands.join(", "),
            })
        }
        _ => Ok(()),
    }
}

/// Whether workers would find a module with this name. Does not import it.
fn is_there(py: Python<'_>, name: &str, program: &Program, options: &Options) -> PyResult<bool> {
    let here = std::env::current_dir()?;
    let here = options
        .chdir
        .as_ref()
        .map_or_else(|| here.clone(), |path| here.join(path));
    if here.join(name).is_file() {
        return Ok(true);
    }
    // The import system skips entries that are not strings.
    let path: Vec<OsString> = std::iter::once(here.clone())
        .chain(options.pythonpath.iter().map(|path| here.join(path)))
        .map(PathBuf::into_os_string)
        .chain(program.search_path().entries.iter().cloned())
        .collect();
    let machinery = py.import("importlib.machinery")?;
    let finder = machinery.getattr("PathFinder")?;
    if !finder.call_method1("find_spec", (name, path))?.is_none() {
        return Ok(true);
    }
    // Built-in modules, and those found by import hooks that packages install.
    let util = py.import("importlib.util")?;
    Ok(!util.call_method1("find_spec", (name,))?.is_none())
}
