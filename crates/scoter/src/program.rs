//! How this program is started again: as a launcher, or as itself after an upgrade.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pyo3::prelude::*;

/// The program and what leads to its entry points.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    executable: PathBuf,
    /// What comes before scoter's own arguments.
    leading: Vec<OsString>,
    launcher: OsString,
    /// scoter's own, without the program's name.
    arguments: Vec<OsString>,
}

impl Program {
    /// The wheel: the interpreter that runs now, with the same options, and files of the
    /// installed package. They are found by their path, so that no directory comes onto
    /// `sys.path` that would not be there otherwise.
    ///
    /// # Errors
    ///
    /// Those of Python, for a package that was taken apart.
    pub(crate) fn interpreter(py: Python<'_>, arguments: &[OsString]) -> PyResult<Self> {
        let executable = py.import("sys")?.getattr("executable")?.extract()?;
        let package: PathBuf = py
            .import("scoter")?
            .getattr("__file__")?
            .extract::<PathBuf>()?;
        let file = |name: &str| package.with_file_name(name).into_os_string();
        Ok(Self {
            executable,
            launcher: file("launcher.py"),
            leading: interpreter_options(py)?
                .into_iter()
                .chain([file("__main__.py")])
                .collect(),
            arguments: arguments[1..].to_vec(),
        })
    }

    /// The program that embeds Python.
    ///
    /// # Errors
    ///
    /// Those of finding its file.
    pub(crate) fn embedded(arguments: &[OsString]) -> io::Result<Self> {
        Ok(Self {
            executable: std::env::current_exe()?,
            leading: Vec::new(),
            launcher: LAUNCHER.into(),
            arguments: arguments[1..].to_vec(),
        })
    }

    /// The file that is executed.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// The file that Python reads to become a launcher; an embedding program has none.
    pub(crate) fn launcher_file(&self) -> Option<&Path> {
        let file = Path::new(&self.launcher);
        (self.launcher != LAUNCHER).then_some(file)
    }

    /// A launcher, with no trace of who watches over the master.
    pub(crate) fn launcher(&self) -> Command {
        let mut command = Command::new(&self.executable);
        if let Some((_, flags)) = self.leading.split_last() {
            command.args(flags);
        }
        command.arg(&self.launcher);
        unsupervised(command)
    }

    /// The command as it was given.
    pub(crate) fn again(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.leading).args(&self.arguments);
        command
    }

    /// The same, but only to find out whether it would start.
    pub(crate) fn preflight(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(&self.leading)
            .args(["check", "--configuration-only"])
            .args(&self.arguments);
        unsupervised(command)
    }
}

/// The options of the interpreter that runs; those of its environment are inherited.
fn interpreter_options(py: Python<'_>) -> PyResult<Vec<OsString>> {
    // Python 3.9 does not tell how it was called.
    let original = py.import("sys")?.getattr_opt("orig_argv")?;
    let original: Option<Vec<OsString>> = original.map(|it| it.extract()).transpose()?;
    if original.is_some_and(|original| has_no_options(&original)) {
        return Ok(Vec::new());
    }
    // It knows them all, but its import takes as long as half a start of Python.
    let subprocess = py.import("subprocess")?;
    subprocess
        .call_method0("_args_from_interpreter_flags")?
        .extract()
}

/// Whether a command of Python begins with a script or with `-m`: what follows them is theirs.
fn has_no_options(original: &[OsString]) -> bool {
    original
        .get(1)
        .is_some_and(|first| first == "-m" || !first.as_encoded_bytes().starts_with(b"-"))
}

fn unsupervised(mut command: Command) -> Command {
    for name in SUPERVISION {
        command.env_remove(name);
    }
    command
}

/// The only argument of an embedding program that is to be a launcher.
pub(crate) const LAUNCHER: &str = "--launcher";

/// What systemd tells a service, and nobody behind it.
pub(crate) const SUPERVISION: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    super::master::RESUME,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_script() {
        for (command, expected) in [
            (&["python", "/bin/scoter", "-h"][..], true),
            (&["python", "-m", "scoter"], true),
            (&["python", "-I", "/bin/scoter"], false),
            (&["python", "-Wd", "-m", "scoter"], false),
            (&["python", "-Im", "scoter"], false),
            (&["python", "-mscoter"], false),
            (&["python"], false),
        ] {
            let original: Vec<_> = command.iter().map(OsString::from).collect();
            assert_eq!(has_no_options(&original), expected, "{command:?}");
        }
    }
}
