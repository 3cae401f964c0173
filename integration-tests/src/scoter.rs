use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::gate::Gate;
use crate::process::{Finished, Process};
use crate::uwsgi::Peer;
use crate::wait::until;

/// A running scoter in a folder of its own. Also the [`Process`].
#[derive(Debug)]
pub struct Scoter {
    process: Process,
    socket: PathBuf,
    folder: TempDir,
}

/// What to start a [`Scoter`] with.
#[derive(Debug)]
pub struct ScoterBuilder {
    app: Option<OsString>,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    bind: bool,
    entry: Entry,
    file_limit: Option<usize>,
    folder: TempDir,
}

/// How the server is called.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Script,
    Module,
}

/// Returns the folder of the applications.
pub fn apps_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/apps"))
}

impl Scoter {
    /// Prepares a server of `app`, which is `module:callable` with a module of `apps/`, or anything else that
    /// scoter takes. Unless told otherwise it listens on `scoter.sock` in its folder.
    pub fn serving(app: impl Into<OsString>) -> ScoterBuilder {
        ScoterBuilder {
            app: Some(app.into()),
            bind: true,
            ..Self::told_nothing()
        }
    }

    /// Prepares a server that has no arguments but those of the test. It is expected to listen on `scoter.sock`
    /// in its folder.
    pub fn told_nothing() -> ScoterBuilder {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        fs::create_dir(folder.path().join("gates")).expect("just made");
        fs::write(folder.path().join("events"), "").expect("just made");
        ScoterBuilder {
            app: None,
            args: Vec::new(),
            envs: Vec::new(),
            bind: false,
            entry: Entry::Script,
            file_limit: None,
            folder,
        }
    }

    /// Returns the folder of this test: socket, logs, whatever the test puts there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the TCP address that the banner names: the port of `--bind 127.0.0.1:0`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn tcp_address(&self) -> SocketAddr {
        let log = self.stderr();
        log.split(|c: char| c.is_whitespace() || ",\"=".contains(c))
            .filter_map(|word| word.parse::<SocketAddr>().ok())
            .next()
            .unwrap_or_else(|| panic!("no TCP address in {log}"))
    }

    /// Connects to the socket as a front end.
    #[track_caller]
    pub fn connect(&self) -> Peer {
        Peer::connect(&self.socket)
    }

    /// Asks the server to stop as an operator would and waits until it has: every request is then over, every
    /// log written.
    ///
    /// # Panics
    ///
    /// When it doesn't stop with exit code 0.
    #[track_caller]
    pub fn stop(&mut self) -> Finished {
        self.process.signal(Signal::SIGTERM);
        let finished = self.process.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished
    }

    /// Makes a gate that an application can wait at: `probe.wait_at(name)`.
    pub fn gate(&self, name: &str) -> Gate {
        Gate::at(self.folder(), name)
    }

    /// Returns what the application has reported so far with `probe.event(…)`.
    pub fn events(&self) -> Vec<String> {
        let events = fs::read(self.folder().join("events")).expect("made at the start");
        let events = String::from_utf8_lossy(&events);
        events.lines().map(str::to_owned).collect()
    }

    /// Waits until the application has reported `event`.
    #[track_caller]
    pub fn wait_for_event(&self, event: &str) {
        until(&format!("event {event:?}"), || {
            self.events().iter().any(|seen| seen == event).then_some(())
        });
    }

    /// Waits until a line of the log contains `text`, and returns the line.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> String {
        until(&format!("log line with {text:?}"), || {
            let log = self.stderr();
            log.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }

    /// Waits until the access log has `count` lines, and returns them.
    #[track_caller]
    pub fn wait_for_access_log(&self, count: usize) -> Vec<String> {
        until(&format!("{count} lines of access log"), || {
            let log = self.stdout();
            let lines: Vec<_> = log.lines().map(str::to_owned).collect();
            (lines.len() >= count && log.ends_with('\n')).then_some(lines)
        })
    }
}

impl Deref for Scoter {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Scoter {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Scoter {
    /// Fails the test if the server lost a thread to a panic, whatever else the test looked at.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.stderr();
            assert!(!log.contains("panicked at"), "{log}");
        }
    }
}

impl ScoterBuilder {
    /// Returns the folder of this test, to prepare files in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds arguments in front of the application.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Binds to `address` and not to the usual socket. May be repeated.
    #[must_use]
    pub fn bind(self, address: impl Into<OsString>) -> Self {
        self.unbound().args(["--bind".into(), address.into()])
    }

    /// Lets the process have no more than `limit` files open.
    #[must_use]
    pub fn limit_files(mut self, limit: usize) -> Self {
        self.file_limit = Some(limit);
        self
    }

    /// Leaves out the usual socket.
    #[must_use]
    pub fn unbound(mut self) -> Self {
        self.bind = false;
        self
    }

    /// Starts it as `python -m scoter`.
    #[must_use]
    pub fn as_module(mut self) -> Self {
        self.entry = Entry::Module;
        self
    }

    /// Sets a variable in the environment of the process.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn start(self) -> Scoter {
        let mut process = self.spawn();
        until("scoter is ready", || {
            let log = process.stderr();
            if let Some(status) = process.exit_status() {
                panic!("scoter did not start: {status}\n{log}");
            }
            says_ready(&log).then_some(())
        });
        Scoter {
            process,
            socket: self.socket(),
            folder: self.folder,
        }
    }

    /// Starts it and waits until it ends: for servers that must not start.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Starts it and waits for nothing.
    #[track_caller]
    pub fn spawn(&self) -> Process {
        let mut command = match (self.entry, self.file_limit) {
            (Entry::Script, None) => Command::new(executable()),
            (Entry::Script, Some(limit)) => {
                let mut command = Command::new("sh");
                let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
                command.arg("-c").arg(script).arg(executable());
                command
            }
            (Entry::Module, _) => {
                let mut command = Command::new(executable().with_file_name("python"));
                command.args(["-m", "scoter"]);
                command
            }
        };
        if self.bind {
            command.arg("--bind").arg(bind_address(&self.socket()));
        }
        if self.app.is_some() {
            command.arg("--pythonpath").arg(apps_folder());
        }
        command
            .args(&self.args)
            .args(&self.app)
            .current_dir(self.folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TEST_FOLDER", self.folder.path())
            .envs(self.envs.iter().cloned());
        Process::spawn(
            "scoter",
            &mut command,
            self.folder.path(),
            "build it first: make build",
        )
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("scoter.sock")
    }
}

/// Tells whether a log has the last line of the banner.
pub fn says_ready(log: &str) -> bool {
    log.lines()
        .any(|line| line.contains(" ready") || line.contains("\"message\":\"ready\""))
}

/// Returns the server under test.
pub(crate) fn executable() -> PathBuf {
    match std::env::var_os("SCOTER") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/scoter"),
    }
}

fn bind_address(socket: &Path) -> OsString {
    let mut address = OsString::from("unix:");
    address.push(socket);
    address
}
