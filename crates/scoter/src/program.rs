//! How this program is started again: as a launcher, or as itself after an upgrade.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pyo3::prelude::*;

use crate::search_path::SearchPath;

/// The program and what leads to its entry points.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    executable: PathBuf,
    /// What comes before scoter's own arguments.
    leading: Vec<OsString>,
    launcher: OsString,
    /// scoter's own, without the program's name.
    arguments: Vec<OsString>,
    path: SearchPath,
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
        // Empty or None where Python does not know.
        let executable = py.import("sys")?.getattr("executable")?;
        let executable = match executable.extract::<PathBuf>() {
            Ok(path) if path.is_absolute() => path,
            _ => std::env::current_exe()?,
        };
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
            path: SearchPath::of_interpreter(py)?,
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
            path: SearchPath::default(),
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

    /// What launchers have on `sys.path`.
    pub(crate) fn search_path(&self) -> &SearchPath {
        &self.path
    }

    /// Keeps what an earlier release had on `sys.path`.
    pub(crate) fn keep_search_path(&mut self, earlier: SearchPath) {
        self.path = earlier.followed_by(std::mem::take(&mut self.path));
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
    if let Some(original) = original {
        return Ok(options_of(&original.extract::<Vec<OsString>>()?));
    }
    // It knows most of them, but its import takes as long as half a start of Python.
    let subprocess = py.import("subprocess")?;
    subprocess
        .call_method0("_args_from_interpreter_flags")?
        .extract()
}

/// The options in a command of Python, but for those that concern the script. What follows
/// the script, `-m` or `-c` is theirs (`Python/getopt.c`, SHORT_OPTS).
fn options_of(original: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut words = original.iter().skip(1);
    while let Some(word) = words.next() {
        let bytes = word.as_encoded_bytes();
        if matches!(bytes, b"-" | b"--") || !bytes.starts_with(b"-") {
            break;
        }
        if bytes.starts_with(b"--") {
            options.push(word.clone());
            if bytes == b"--check-hash-based-pycs" {
                options.extend(words.next().cloned());
            }
            continue;
        }
        let is_special = |letter: &u8| b"cmWX".contains(letter);
        let special = bytes.iter().position(is_special);
        // The interpreter is not to wait for a user behind the script, nor to skip a line of it.
        let flags = &bytes[..special.unwrap_or(bytes.len())];
        let flags: Vec<u8> = flags
            .iter()
            .copied()
            .filter(|flag| !b"ixhV?".contains(flag))
            .collect();
        if flags.len() > 1 {
            options.push(OsString::from_vec(flags));
        }
        let Some(special) = special else { continue };
        let option = bytes[special];
        if matches!(option, b'c' | b'm') {
            break;
        }
        options.push(OsString::from_vec(vec![b'-', option]));
        match &bytes[special + 1..] {
            [] => options.extend(words.next().cloned()),
            argument => options.push(OsString::from_vec(argument.to_vec())),
        }
    }
    options
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
    super::supervisor::RESUME,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_interpreter_are_told_from_those_of_the_script() {
        for (command, expected) in [
            (&["python", "/bin/scoter", "-h"][..], &[][..]),
            (&["python", "-m", "scoter", "-O"], &[]),
            (&["python", "-I", "/bin/scoter"], &["-I"]),
            (&["python", "-sE", "/bin/scoter", "-u"], &["-sE"]),
            (&["python", "-Wd", "-m", "scoter"], &["-W", "d"]),
            (
                &["python", "-W", "d", "-X", "dev", "x"],
                &["-W", "d", "-X", "dev"],
            ),
            (
                &["python", "-BXdev", "-OO", "x"],
                &["-B", "-X", "dev", "-OO"],
            ),
            (&["python", "-Im", "scoter"], &["-I"]),
            (&["python", "-mscoter", "-O"], &[]),
            (&["python", "-uc", "import scoter", "-O"], &["-u"]),
            (&["python", "-ix", "app.py"], &[]),
            (&["python", "-iu", "app.py"], &["-u"]),
            (
                &["python", "--check-hash-based-pycs", "always", "-s", "x"],
                &["--check-hash-based-pycs", "always", "-s"],
            ),
            (&["python", "-", "-O"], &[]),
            (&["python", "-X"], &["-X"]),
            (&["python"], &[]),
        ] {
            let original: Vec<_> = command.iter().map(OsString::from).collect();
            assert_eq!(options_of(&original), expected, "{command:?}");
        }
    }
}
