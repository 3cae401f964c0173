use std::ffi::OsString;
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::process::Command;

use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::http::Client;
use crate::process::{Finished, Process};
use crate::running::Running;
use crate::scoter::{Scoter, executable};
use crate::wait::until;

/// A worker as `scoter status` describes it. Also the process.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its number.
    pub id: u64,
    /// The generation of the code that it runs.
    pub generation: u64,
    /// `starting`, `ready`, `retiring` or `stuck`.
    pub phase: String,
    /// How many slots it has.
    pub slots: usize,
    process: Running,
}

impl Worker {
    /// Reads an entry of `workers`; none while its process is not forked yet.
    pub(crate) fn from_status(status: &Value) -> Option<Self> {
        let number = |name: &str| status[name].as_u64().expect("a number");
        let pid = i32::try_from(number("pid")).expect("a process id");
        (pid != 0).then(|| Self {
            id: number("id"),
            generation: number("generation"),
            phase: status["phase"].as_str().expect("a string").to_owned(),
            slots: status["slots"].as_array().expect("a list").len(),
            process: Running::new(Pid::from_raw(pid)),
        })
    }

    /// Tells whether it serves.
    pub fn is_ready(&self) -> bool {
        self.phase == "ready"
    }
}

impl Deref for Worker {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.process
    }
}

/// What a server says of itself, and does when told, by its control socket.
impl Scoter {
    /// Returns a client of the control socket.
    pub fn control(&self) -> Client {
        let mut path = self.socket().as_os_str().to_owned();
        path.push(".control");
        Client::new(path)
    }

    /// Has the server do something as an operator would: `scoter reload`, or another command.
    #[track_caller]
    pub fn command<I>(&self, args: I) -> Finished
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let folder = TempDir::with_prefix("scoter-").expect("there was one for the server");
        let mut args = args.into_iter().map(Into::into);
        let mut command = Command::new(executable());
        command
            .arg(args.next().expect("a command"))
            .args(["--control".into(), self.control().socket().to_owned()])
            .args(args)
            .current_dir(self.folder());
        Process::spawn("command", &mut command, folder.path(), "it runs already").wait()
    }

    /// Returns what `scoter status --json` prints.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.control().get("/status").json()
    }

    /// Returns the same, or nothing if nobody answers there (any more).
    pub(crate) fn status_if_it_runs(&self) -> Option<Value> {
        let control = UnixStream::connect(self.control().socket());
        control.is_ok().then(|| self.status())
    }

    /// Returns the workers that there are now, in whatever phase.
    #[track_caller]
    pub fn workers(&self) -> Vec<Worker> {
        let status = self.status();
        let workers = status["workers"].as_array().expect("a list");
        workers.iter().filter_map(Worker::from_status).collect()
    }

    /// Returns the only worker.
    ///
    /// # Panics
    ///
    /// When there is another one.
    #[track_caller]
    pub fn worker(&self) -> Worker {
        <[Worker; 1]>::try_from(self.workers())
            .map(|[worker]| worker)
            .unwrap_or_else(|workers| panic!("one worker expected: {workers:?}"))
    }

    /// Waits until there are `count` workers, all of them ready, and returns them.
    #[track_caller]
    pub fn wait_for_workers(&self, count: usize) -> Vec<Worker> {
        self.wait_for_workers_that(&format!("{count} workers"), |workers| {
            workers.len() == count
        })
    }

    /// Waits until all workers are ready and as `expected`, and returns them.
    #[track_caller]
    pub fn wait_for_workers_that(
        &self,
        what: &str,
        expected: impl Fn(&[Worker]) -> bool,
    ) -> Vec<Worker> {
        until(what, || {
            let workers = self.workers();
            (workers.iter().all(Worker::is_ready) && expected(&workers)).then_some(workers)
        })
    }

    /// Returns the processes of the server, without what the application has executed.
    pub fn processes(&self) -> Vec<Running> {
        let mut processes = self.family();
        processes.retain(|process| process.pid() == self.pid() || is_launched(process));
        processes
    }

    /// Kills every process of the server at once.
    pub fn kill(&self) {
        Running::kill_all(self.pid(), || self.processes());
    }

    /// Returns the processes that fork the workers: one, but for a while during a reload.
    pub fn launchers(&self) -> Vec<Running> {
        let mut launchers = self.family();
        launchers.retain(|process| process.name() == "scoter-launcher");
        launchers
    }

    /// Waits until there is one launcher, and returns it.
    #[track_caller]
    pub fn launcher(&self) -> Running {
        until("one launcher", || {
            // A worker has its name for a moment after the fork.
            let launchers = self.launchers();
            (launchers.len() == 1).then(|| launchers[0])
        })
    }
}

/// Tells a launcher, and what was forked from one: that has the same arguments.
fn is_launched(process: &Running) -> bool {
    let arguments = process.arguments();
    let mut arguments = arguments.iter();
    arguments.any(|argument| argument.ends_with("launcher.py"))
}
