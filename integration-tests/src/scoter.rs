use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut, Range};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::gate::Gate;
use crate::package::Package;
use crate::process::{Finished, Process};
use crate::uwsgi::{Peer, get, with};
use crate::wait::until;

/// A running scoter in a folder of its own. Also the [`Process`].
#[derive(Debug)]
pub struct Scoter {
    process: Process,
    socket: PathBuf,
    folder: TempDir,
    may_panic: bool,
}

/// What to start a [`Scoter`] with.
#[derive(Debug)]
pub struct ScoterBuilder {
    command: Option<OsString>,
    app: Option<OsString>,
    workers: Option<OsString>,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    bind: bool,
    entry: Entry,
    wrapper: Vec<OsString>,
    user: Option<(u32, u32)>,
    directory: PathBuf,
    folder: TempDir,
}

/// How the server is called.
#[derive(Clone, Debug)]
enum Entry {
    Script,
    Module,
    Package(Package),
    Command(Vec<OsString>),
}

/// Returns the folder of the applications.
pub fn apps_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/apps"))
}

impl Scoter {
    /// Prepares a server of `app`, which is `module:callable` with a module of `apps/`, or anything else that
    /// scoter takes. Unless told otherwise it listens on `scoter.sock` in its folder and has one worker.
    pub fn serving(app: impl Into<OsString>) -> ScoterBuilder {
        ScoterBuilder {
            app: Some(app.into()),
            workers: Some("1".into()),
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
            command: None,
            app: None,
            workers: None,
            args: Vec::new(),
            envs: Vec::new(),
            bind: false,
            entry: Entry::Script,
            wrapper: Vec::new(),
            user: None,
            directory: folder.path().to_owned(),
            folder,
        }
    }

    /// Says that the test takes from the server what none of it can do without.
    pub fn may_panic(&mut self) {
        self.may_panic = true;
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

    /// Returns where `scoter dev` listens, as its first line says.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn http_address(&self) -> SocketAddr {
        let log = self.stderr();
        let first = log.lines().next().unwrap_or_default();
        let url = first.split(' ').next().unwrap_or_default();
        let address = url.strip_prefix("http://").and_then(|it| it.parse().ok());
        address.unwrap_or_else(|| panic!("no URL in the first line of {log}"))
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
    /// When it doesn't stop with exit code 0, or leaves a process behind.
    #[track_caller]
    pub fn stop(&mut self) -> Finished {
        self.process.signal(Signal::SIGTERM);
        let finished = self.process.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(self.process.family(), [], "{}", finished.stderr);
        finished
    }

    /// Waits until every process of the server has left.
    #[track_caller]
    pub fn wait_until_all_are_gone(&self) {
        until("every process has left", || {
            self.process.family().is_empty().then_some(())
        });
    }

    /// Puts a file into the folder, whole at once as a deployment should.
    pub fn put(&self, name: &str, content: &str) {
        put(self.folder(), name, content);
    }

    /// Sends a request that waits at the gate `name`, and returns when the application has it: `/waits` of
    /// `apps/streaming.py`, or what is like it.
    #[track_caller]
    pub fn begin(&self, name: &str) -> Peer {
        let mut peer = self.connect();
        peer.packet(&with(get("/waits"), [("QUERY_STRING", name)]));
        self.wait_for_event(&format!("begun {name}"));
        peer
    }

    /// Sends a signal that stops the server, and waits until it takes no more connections.
    #[track_caller]
    pub fn begin_to_stop(&self, signal: Signal) {
        self.process.signal(signal);
        until("nobody listens", || {
            UnixStream::connect(&self.socket).is_err().then_some(())
        });
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

    /// Returns the lines of the log that contain `text`.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        let log = self.stderr();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    /// Waits until `count` lines of the log contain `text`, and returns all that do.
    #[track_caller]
    pub fn wait_for_log_lines(&self, count: usize, text: &str) -> Vec<String> {
        until(&format!("{count} log lines with {text:?}"), || {
            let lines = self.log_lines(text);
            (lines.len() >= count).then_some(lines)
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
        if !std::thread::panicking() && !self.may_panic {
            let log = self.stderr();
            let panicked = ["panicked at", "a thread panicked"];
            assert!(!panicked.iter().any(|text| log.contains(text)), "{log}");
        }
    }
}

impl ScoterBuilder {
    /// Returns the folder of this test, to prepare files in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder of this test.
    #[must_use]
    pub fn with_file(self, name: &str, content: &str) -> Self {
        put(self.folder(), name, content);
        self
    }

    /// Sets `--workers`.
    #[must_use]
    pub fn workers(mut self, workers: &str) -> Self {
        self.workers = Some(workers.into());
        self
    }

    /// Leaves `--workers` out.
    #[must_use]
    pub fn default_workers(mut self) -> Self {
        self.workers = None;
        self
    }

    /// Lets the process use one CPU only.
    #[must_use]
    pub fn on_one_cpu(mut self) -> Self {
        let cpu = first_allowed_cpu();
        self.wrapper = ["taskset", "-c", &cpu].map(OsString::from).into();
        self
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

    /// Lets the process have no more than `limit` files open. Besides its standard streams it inherits none.
    #[must_use]
    pub fn limit_files(self, limit: usize) -> Self {
        self.limit_files_inheriting(limit, 3..3)
    }

    /// As [`Self::limit_files`], but lets the process raise the limit again.
    #[must_use]
    pub fn limit_files_softly(mut self, limit: usize) -> Self {
        let script = format!("ulimit -Sn {limit} && exec \"$0\" \"$@\"");
        self.wrapper = ["sh", "-c", &script].map(OsString::from).into();
        self
    }

    /// As [`Self::limit_files`], with `inherited` descriptors that somebody has left open for the process.
    #[must_use]
    pub fn limit_files_inheriting(self, limit: usize, inherited: Range<usize>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/inherit.py");
        let numbers = [limit, inherited.start, inherited.len()].map(|it| it.to_string().into());
        let words = [python().into_os_string(), script.into()];
        self.under(words.into_iter().chain(numbers))
    }

    /// Runs `scoter check` with the same arguments.
    #[must_use]
    pub fn as_check(mut self) -> Self {
        self.command = Some("check".into());
        self
    }

    /// Leaves out the usual socket.
    #[must_use]
    pub fn unbound(mut self) -> Self {
        self.bind = false;
        self
    }

    /// Starts it in a directory below its folder.
    #[must_use]
    pub fn inside(mut self, directory: &str) -> Self {
        self.directory = self.folder().join(directory);
        self
    }

    /// Starts it as `python -m scoter`.
    #[must_use]
    pub fn as_module(mut self) -> Self {
        self.entry = Entry::Module;
        self
    }

    /// Starts it from another copy of the package.
    #[must_use]
    pub fn from_package(mut self, package: &Package) -> Self {
        self.entry = Entry::Package(package.clone());
        self
    }

    /// Starts it by a command of the test, such as a Python with a script that calls scoter. The arguments follow.
    #[must_use]
    pub fn by_command<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.entry = Entry::Command(words.into_iter().map(Into::into).collect());
        self
    }

    /// Has another program start it: `wrapper` ends with what takes a command as further arguments, and becomes
    /// it.
    #[must_use]
    pub fn under<I>(mut self, wrapper: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Starts it as another user, who is in no group but `gid`. Takes root.
    #[must_use]
    pub fn as_user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Sets a variable in the environment of the process.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Serves HTTP, as `scoter dev` does, on a port that is free.
    #[must_use]
    pub fn in_development(mut self) -> Self {
        let mut control = self.socket().into_os_string();
        control.push(".control");
        self.command = Some("dev".into());
        self.bind = false;
        self.args([
            "--http".into(),
            "127.0.0.1:0".into(),
            "--control".into(),
            control,
        ])
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
            may_panic: false,
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
        let mut words = self.wrapper.clone();
        match &self.entry {
            Entry::Script => words.push(executable().into()),
            Entry::Module => words.extend([python().into(), "-m".into(), "scoter".into()]),
            Entry::Package(package) => words.extend(package.command()),
            Entry::Command(command) => words.extend(command.iter().cloned()),
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.args(&self.command);
        if self.bind {
            command.arg("--bind").arg(bind_address(&self.socket()));
        }
        if self.app.is_some() {
            command.arg("--pythonpath").arg(apps_folder());
        }
        if let Some(workers) = &self.workers {
            command.arg("--workers").arg(workers);
        }
        command
            .args(&self.args)
            .args(&self.app)
            .current_dir(&self.directory)
            .env("PYTHONDONTWRITEBYTECODE", "1")
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
    log.lines().any(|line| {
        line == "ready"
            // `scoter dev` serves the reason.
            || line.starts_with("the application does not work") || line.contains(" ready") || line.contains("\"message\":\"ready\"")
    })
}

/// Returns the server under test.
pub fn executable() -> PathBuf {
    match std::env::var_os("SCOTER") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/scoter"),
    }
}

/// Returns the Python that it runs on.
pub fn python() -> PathBuf {
    executable().with_file_name("python")
}

/// Writes beside the file and then moves: nobody ever reads half of it.
fn put(folder: &Path, name: &str, content: &str) {
    let new = folder.join(format!("{name}.new"));
    fs::write(&new, content).expect("the test's own folder is writable");
    fs::rename(new, folder.join(name)).expect("just written");
}

/// Returns the first CPU that this process may use.
fn first_allowed_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("Linux");
    let is_digit = |c: &char| c.is_ascii_digit();
    list.trim().chars().take_while(is_digit).collect()
}

fn bind_address(socket: &Path) -> OsString {
    let mut address = OsString::from("unix:");
    address.push(socket);
    address
}
