//! The check of the result: its values always, and the application if it can run here.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use super::{Checked, named};
use crate::cli::check::Extent;
use crate::config::{Migration, Options};
use crate::program::Program;

/// Checks the result as `scoter check` does.
pub(super) fn check(
    program: &Program,
    migration: &Migration,
    written: Option<&Path>,
    extent: Extent,
) -> Checked {
    let options = match migration.options() {
        Ok(options) => options,
        Err(problems) => {
            return Checked {
                is_valid: false,
                message: problems.to_string(),
            };
        }
    };
    let mut lines = migration.without_effect(&options);
    lines.push(match extent {
        Extent::Configuration => "the configuration is fine; the application was not loaded".into(),
        Extent::Everything => match absent(program, migration, &options) {
            None => load(program, migration, written),
            Some(reason) => format!(
                "the configuration is fine; the application was not loaded: {reason}\nhint: run \
                 scoter check --config {} where it is served",
                named(written)
            ),
        },
    });
    Checked {
        is_valid: true,
        message: lines.join("\n"),
    }
}

/// Why the application cannot be loaded here: this need not be the machine that serves it.
fn absent(program: &Program, migration: &Migration, options: &Options) -> Option<String> {
    let is_missing = |path: &Path| !path.exists();
    if let Some(chdir) = options.chdir.as_deref().filter(|path| is_missing(path)) {
        return Some(format!("{} is not on this machine", chdir.display()));
    }
    let mut files = options.targets().filter_map(|(_, target)| target.file());
    if let Some(file) = files.find(|path| is_missing(path)) {
        return Some(format!("{} is not on this machine", file.display()));
    }
    if let Some(virtual_env) = migration.virtual_env() {
        let environment = virtual_env.canonicalize().unwrap_or(virtual_env);
        // Not of the executable itself: that is a link to a Python outside.
        let folder = program.executable().parent().and_then(Path::parent);
        let here = folder.and_then(|folder| folder.canonicalize().ok());
        if here.as_deref() != Some(&environment) {
            return Some(format!(
                "its Python environment is {}, and this scoter runs in another one",
                environment.display()
            ));
        }
    }
    let switches = options.user.is_some() || options.group.is_some();
    if switches && !nix::unistd::geteuid().is_root() {
        return Some("only root can become the user that it runs as".to_owned());
    }
    None
}

/// Loads the application in a process of its own, which may do anything.
fn load(program: &Program, migration: &Migration, written: Option<&Path>) -> String {
    let result = match written {
        Some(path) => run(program.check(path)),
        None => temporary(migration).and_then(|file| {
            let output = run(program.check(file.path()))?;
            Ok(output.replace(&*file.path().to_string_lossy(), &named(None)))
        }),
    };
    result.unwrap_or_else(|error| {
        format!("the configuration is fine; the check did not run: {error}")
    })
}

fn temporary(migration: &Migration) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    file.write_all(migration.absolute_toml().as_bytes())?;
    file.flush()?;
    Ok(file)
}

/// What it prints. Nothing of the environment counts that is for a server.
fn run(mut command: Command) -> std::io::Result<String> {
    let variables = std::env::vars_os().map(|(name, _)| name);
    let ours = variables.filter(|name| is_of_ours(name));
    for name in ours {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output()?;
    let text = [output.stderr, output.stdout].concat();
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

fn is_of_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"SCOTER_")
}
