//! What the master, launchers and workers tell each other.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::net::{Description, SocketFile};
use crate::program::SearchPath;
use crate::request_head::MissingVars;

/// Messages from the master to a launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToLauncher {
    /// The first message. With it come a [`Configuration`] in memory, because it may be larger than
    /// a message, the listening sockets in its order, both ends of the queue of connections and of
    /// those that hold one, and the memory for a crash report.
    Configure,
    /// Fork a worker. With it come the worker's channel to the master, its scoreboard and the
    /// memory for a crash report.
    Fork {
        worker: u32,
        serial: u64,
        /// `wsgi.multiprocess`: whether there should be other workers as well.
        multiprocess: bool,
    },
    /// Use the file that comes with it as the error log.
    ErrorLog,
    /// No more workers will be forked.
    End,
}

/// The configuration of a generation of workers. An older master sends it to a newer launcher
/// before it has read the launcher's release: new fields need a default.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// The resolved configuration, as [`crate::config::Settings::to_json`] writes it.
    pub(crate) settings: String,
    pub(crate) listeners: Vec<Description>,
    /// The file of the control socket, for processes that outlive the master.
    pub(crate) control: Option<SocketFile>,
    /// That of the socket of `--metrics`.
    #[serde(default)]
    pub(crate) metrics: Option<SocketFile>,
    /// That of the socket of `--uwsgi-stats`.
    #[serde(default)]
    pub(crate) uwsgi_stats: Option<SocketFile>,
    /// `sys.path` of the Python that started the server.
    pub(crate) path: SearchPath,
    /// The soft limit on open files that the server was started with.
    #[serde(default)]
    pub(crate) file_limit: Option<u64>,
    /// Whether the launcher was started in its generation's directory: the path of `--chdir` may
    /// lead elsewhere by now.
    #[serde(default)]
    pub(crate) has_changed_directory: bool,
    /// What workers of `scoter dev` do besides.
    #[serde(default)]
    pub(crate) development: Option<Development>,
    /// What the module `uwsgi` needs. With it comes the memory that workers share for it, before that
    /// for a crash report.
    #[serde(default)]
    pub(crate) uwsgi: Option<UwsgiFacts>,
}

/// What the module `uwsgi` says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UwsgiFacts {
    /// Whether the generation is not the server's first.
    pub(crate) is_a_reload: bool,
}

/// What workers of `scoter dev` have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Development {
    /// Whether a worker whose application does not load serves the reason: there is no other code
    /// that works.
    pub(crate) serves_failure: bool,
}

impl Configuration {
    /// Writes it into memory that can be sent to another process.
    ///
    /// # Errors
    ///
    /// System errors, if no memory or descriptors are available.
    pub(crate) fn to_memory(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("scoter-configuration", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file.into())
    }

    /// Reads what [`Configuration::to_memory`] has written.
    ///
    /// # Errors
    ///
    /// `InvalidData` for anything else.
    pub(crate) fn from_memory(memory: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(memory);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Messages from a launcher to the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromLauncher {
    /// The first message.
    Hello {
        version: String,
    },
    /// It can fork; with `--preload` the application is loaded.
    Prepared,
    /// With `--preload`: the application could not be loaded.
    Failed(Failed),
    Forked {
        serial: u64,
        pid: i32,
    },
    ForkFailed {
        serial: u64,
        /// No longer than the message of a [`Failed`].
        error: String,
    },
    /// A worker has ended, with this wait(2) status.
    Exited {
        pid: i32,
        status: i32,
    },
}

/// Messages from the master to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Accept no more connections, finish the accepted ones, and end.
    Retire,
    /// Accept the connections in the kernel's queues too, because no other worker will, then end.
    Drain,
    /// End immediately, even if requests are running, unless the reason is
    /// [`NotNeeded`](LeaveReason::NotNeeded).
    Leave(LeaveReason),
    /// Use the file that comes with it as the error log.
    ErrorLog,
    /// Reopen the access log, because the log files have been renamed.
    ReopenLogs,
    /// Report where all threads are. With it comes a stream for the answer, a
    /// [`ThreadStacks`](crate::control::ThreadStacks) as JSON.
    Stacks,
    /// To workers of `scoter dev`: the code that was to replace theirs does not work.
    NewCodeFailed {
        /// Human-readable lines, possibly a traceback.
        problem: String,
    },
}

/// Why a worker has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeaveReason {
    /// A signal came during a stop.
    SecondSignal,
    /// `scoter stop` came during a stop.
    SecondOrder,
    /// The worker is no longer supervised. If it serves, it finishes its requests.
    NotNeeded,
}

impl LeaveReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SecondSignal => "a second signal came",
            Self::SecondOrder => "scoter stop came while the server was stopping",
            Self::NotNeeded => "the worker is no longer needed",
        }
    }
}

/// Messages from a worker to the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It serves.
    Ready {
        pid: i32,
        /// `module:callable`.
        application: String,
        import_ms: u64,
    },
    /// It cannot serve, and ends.
    Failed(Failed),
    /// A request lacked variables that every front end sends.
    MissingVars { missing: MissingVars },
    /// None of its first requests said when the front end passed it on, which `--queue-timeout` needs.
    MissingClock,
    /// It is ending, and accepts no more connections.
    NotAccepting,
    /// From a worker of `scoter dev`: it has imported these files since its last message, which are
    /// not installed packages' or Python's.
    Imported { files: Vec<String> },
    /// From a worker of `scoter dev`, before [`Ready`](Self::Ready): its application does not load,
    /// and it serves the reason.
    Broken {
        /// Human-readable lines, possibly a traceback.
        problem: String,
    },
    /// It has to be replaced, and serves until it is retired.
    Replace { reason: String },
    /// It no longer serves because of a request that cannot be ended.
    Stuck { reason: String },
}

/// Why a launcher or a worker cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The server's exit code if this happens at its start.
    pub(crate) code: u8,
    /// Human-readable lines, possibly a traceback.
    pub(crate) message: String,
}

impl Failed {
    /// A failure whose text fits into a message: a very long one loses its middle.
    pub(crate) fn new(code: u8, message: &str) -> Self {
        if message.len() <= MAX_TEXT {
            return Self {
                code,
                message: message.to_owned(),
            };
        }
        let mut head = MAX_TEXT / 2;
        while !message.is_char_boundary(head) {
            head -= 1;
        }
        let mut tail = message.len() - MAX_TEXT / 2;
        while !message.is_char_boundary(tail) {
            tail += 1;
        }
        Self {
            code,
            message: format!("{}\n[…]\n{}", &message[..head], &message[tail..]),
        }
    }
}

/// Bytes of a text in a message. JSON makes it up to six times as long, but usually hardly longer.
const MAX_TEXT: usize = 15 * 1_024;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::ipc::channel::{Channel, Received};

    #[test]
    fn configuration_of_any_size_arrives() {
        let (master, launcher) = Channel::pair().unwrap();
        let sent = Configuration {
            settings: "x".repeat(6 * 1_024 * 1_024),
            listeners: Vec::new(),
            control: None,
            metrics: None,
            uwsgi_stats: None,
            path: SearchPath::default(),
            file_limit: None,
            has_changed_directory: false,
            development: None,
            uwsgi: None,
        };
        let memory = sent.to_memory().unwrap();
        master
            .send(&ToLauncher::Configure, &[memory.as_fd()])
            .unwrap();
        let Ok(Received::Message(ToLauncher::Configure, mut fds)) = launcher.receive() else {
            panic!("the message arrives");
        };
        let received = Configuration::from_memory(fds.remove(0).into()).unwrap();
        assert_eq!(received.settings, sent.settings);
    }

    #[test]
    fn configuration_of_an_older_master_lacks_what_is_newer() {
        let older = r#"{"settings": "[]", "listeners": [], "control": null,
            "path": {"entries": [], "library": null}}"#;
        let received: Configuration = serde_json::from_str(older).unwrap();
        assert!(!received.has_changed_directory);
        assert_eq!(received.file_limit, None);
    }

    #[test]
    fn long_texts_lose_their_middle() {
        let text = format!("first {} last", "é\n".repeat(MAX_TEXT));
        let failed = Failed::new(3, &text);
        assert!(failed.message.starts_with("first "));
        assert!(failed.message.ends_with(" last"));
        let (master, worker) = Channel::pair().unwrap();
        worker.send(&FromWorker::Failed(failed), &[]).unwrap();
        assert!(matches!(
            master.receive::<FromWorker>(),
            Ok(Received::Message(FromWorker::Failed(_), _))
        ));
    }
}
