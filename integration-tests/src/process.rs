use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ignored_signals;
use crate::running::{FOLDER, Running};
use crate::wait::until;

/// A process that a test started: ends with the test, and with it whatever it started; shows its logs if the test
/// fails.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    folder: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a process left that ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, if no signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to its standard output.
    pub stdout: String,
    /// Everything it wrote to its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command`, its output going to files in `folder`.
    ///
    /// It sees nothing of the environment of the tests but the search path and the folder for temporary files, and
    /// ignores no signal that they ignore.
    ///
    /// # Panics
    ///
    /// When it can't be started; `hint` says what to do about it.
    pub fn spawn(name: &'static str, command: &mut Command, folder: &Path, hint: &str) -> Self {
        let log = |stream: &str| {
            let path = folder.join(format!("{name}.{stream}"));
            let file = File::create(&path).expect("the test's own folder is writable");
            (path, file)
        };
        let (stdout, out) = log("stdout");
        let (stderr, err) = log("stderr");
        let envs: Vec<_> = command
            .get_envs()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect();
        ignored_signals::keep_from_children();
        let temporary = std::env::var_os("TMPDIR").map(|folder| ("TMPDIR", folder));
        let child = command
            .env_clear()
            .env("PATH", search_path())
            .env(FOLDER, folder)
            .envs(temporary)
            .envs(envs)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}; {hint}", command.get_program()));
        Self {
            name,
            child,
            folder: folder.to_owned(),
            stdout,
            stderr,
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(
            self.child
                .id()
                .try_into()
                .expect("process ids are positive"),
        )
    }

    /// Returns what it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// Returns what it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is ours and not waited for yet");
    }

    /// Returns how the process ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is ours")
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait(&mut self) -> Finished {
        let status = until(&format!("end of {}", self.name), || self.exit_status());
        Finished {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Returns it and what it started, as far as it runs.
    pub fn family(&self) -> Vec<Running> {
        Running::all_in(&self.folder)
    }

    /// Kills it and everything that it started, all at once.
    pub fn kill_family(&mut self) {
        Running::kill_all(self.pid(), || self.family());
        // Both fail only where it has been waited for. uWSGI writes its name over its environment, and is no family then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it and prints what it wrote, if the test is failing.
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the test's failure"
    )]
    fn end(&mut self) {
        self.kill_family();
        if std::thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                eprintln!("--- {} {stream}\n{text}", self.name);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the search path, with the folders that hold nginx on Debian but are not in a user's `PATH`.
fn search_path() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

fn read_lossy(path: &Path) -> String {
    let bytes = fs::read(path).expect("the log is in the test's own folder");
    String::from_utf8_lossy(&bytes).into_owned()
}
