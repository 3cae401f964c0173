//! Starts this program again: as a launcher, or as a new release after an upgrade.

mod name;
mod prefix;
mod search_path;

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use name::by_name;
pub(crate) use prefix::{prefix, set_prefix};
pub(crate) use search_path::SearchPath;

/// The program and the arguments that lead to its entry points.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) executable: PathBuf,
    /// The arguments before scoter's own.
    pub(crate) leading: Vec<OsString>,
    pub(crate) launcher: OsString,
    /// scoter's own arguments, without the program's name.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) path: SearchPath,
}

impl Program {
    /// The program that embeds Python.
    ///
    /// # Errors
    ///
    /// Those of finding its file.
    pub(crate) fn embedded(arguments: &[OsString]) -> io::Result<Self> {
        Ok(Self {
            executable: env::current_exe()?,
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

    /// The file that Python runs to become a launcher; an embedding program has none.
    pub(crate) fn launcher_file(&self) -> Option<&Path> {
        let file = Path::new(&self.launcher);
        (self.launcher != LAUNCHER).then_some(file)
    }

    /// The `sys.path` of launchers.
    pub(crate) fn search_path(&self) -> &SearchPath {
        &self.path
    }

    /// Puts the `sys.path` of an earlier release in front.
    pub(crate) fn keep_search_path(&mut self, earlier: SearchPath) {
        self.path = earlier.followed_by(std::mem::take(&mut self.path));
    }

    /// The command of a launcher, without the variables of the master's service manager. The name of
    /// the server is an argument so that `ps -f` shows it, for workers too.
    pub(crate) fn launcher(&self, name: Option<&str>) -> Command {
        let mut command = Command::new(&self.executable);
        if let Some((_, flags)) = self.leading.split_last() {
            command.args(flags);
        }
        command.arg(&self.launcher).args(name);
        if let Some(path) = absolute_pythonpath() {
            command.env(PYTHONPATH, path);
        }
        unsupervised(command)
    }

    /// The command that the server was started with.
    pub(crate) fn restart_command(&self) -> Command {
        let mut command = self.command();
        command.args(&self.leading).args(&self.arguments);
        command
    }

    /// The same command, which only checks whether it would start.
    pub(crate) fn preflight(&self) -> Command {
        let mut command = self.command();
        command
            .args(&self.leading)
            .args(["check", "--configuration-only"])
            .args(&self.arguments);
        unsupervised(command)
    }

    /// The command that checks the server of a configuration file.
    pub(crate) fn check(&self, configuration: &Path) -> Command {
        let mut command = self.command();
        command
            .args(&self.leading)
            .args(["check", "--config"])
            .arg(configuration);
        unsupervised(command)
    }

    /// Its file, by the name that says nothing about the arguments.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        if self.leading.is_empty() {
            command.arg0(env!("CARGO_PKG_NAME"));
        }
        command
    }
}

/// PYTHONPATH as this process's Python read it, for one that starts in another directory. There
/// relative entries, of which an empty one is the directory itself, would lead into the
/// application. `None` if it has none.
fn absolute_pythonpath() -> Option<OsString> {
    let path = env::var_os(PYTHONPATH).filter(|path| !path.is_empty())?;
    let entries: Vec<_> = env::split_paths(&path).collect();
    if entries.iter().all(|entry| entry.is_absolute()) {
        return None;
    }
    let here = env::current_dir().ok()?;
    env::join_paths(entries.iter().map(|entry| here.join(entry))).ok()
}

const PYTHONPATH: &str = "PYTHONPATH";

fn unsupervised(mut command: Command) -> Command {
    for name in SUPERVISION {
        command.env_remove(name);
    }
    command
}

/// The first argument of an embedding program that runs as a launcher.
pub(crate) const LAUNCHER: &str = "--launcher";

/// The descriptor with the previous master's state, for a master that an upgrade has executed.
pub(crate) const RESUME: &str = "SCOTER_UPGRADE_FD";

/// The variables that systemd sets for a service, but not for its child processes.
pub(crate) const SUPERVISION: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    RESUME,
];
