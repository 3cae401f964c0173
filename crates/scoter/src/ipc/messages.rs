//! What the master, launchers and workers tell each other.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::net::{Description, SocketFile};
use crate::program::SearchPath;
use crate::request_head::MissingVars;

/// What the master tells a launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToLauncher {
    /// First of all. With it come a [`Configuration`] in memory, for it may be larger than a
    /// message, the listening sockets in its order, and the memory for a report of its crash.
    Configure,
    /// Fork a worker. With it come its channel to the master, its scoreboard and the memory for a
    /// report of its crash.
    Fork {
        worker: u32,
        serial: u64,
        /// `wsgi.multiprocess`: whether others are wanted beside it.
        multiprocess: bool,
    },
    /// There will be nothing more to fork.
    End,
}

/// What a generation of workers serves, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// The resolved configuration, as [`crate::config::Settings::to_json`] writes it.
    pub(crate) settings: String,
    pub(crate) listeners: Vec<Description>,
    /// The file of the control socket, for whoever outlives the master.
    pub(crate) control: Option<SocketFile>,
    /// `sys.path` of the Python that started the server.
    pub(crate) path: SearchPath,
    /// The soft limit of open files that the server was started with.
    #[serde(default)]
    pub(crate) file_limit: Option<u64>,
    /// Whether the launcher has been started in the directory of its generation: `--chdir`
    /// may lead elsewhere by now.
    pub(crate) has_changed_directory: bool,
}

impl Configuration {
    /// Puts it into memory that can be sent.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no memory or no descriptors to give.
    pub(crate) fn to_memory(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("scoter-configuration", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file.into())
    }

    /// Reads what [`Configuration::to_memory`] has written.
    ///
    /// # Errors
    ///
    /// `InvalidData` for something else.
    pub(crate) fn from_memory(memory: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(memory);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// What a launcher tells the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromLauncher {
    /// First of all.
    Hello {
        version: String,
    },
    /// It can fork: with `--preload` the application is loaded.
    Prepared,
    /// With `--preload`: there is nothing to fork for.
    Failed(Failed),
    Forked {
        serial: u64,
        pid: i32,
    },
    ForkFailed {
        serial: u64,
        /// No longer than that of a [`Failed`].
        error: String,
    },
    /// A worker has ended, with this status of wait(2).
    Exited {
        pid: i32,
        status: i32,
    },
}

/// What the master tells a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Take no more connections, finish what has been taken, and end.
    Retire,
    /// Take what waits in the kernel's queues too, then end: nobody else will.
    Drain,
    /// End now: what still runs is cut.
    Leave,
    /// The files of the logs have been renamed.
    ReopenLogs,
}

/// What a worker tells the master.
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
    /// A request came without what every request has.
    MissingVars { missing: MissingVars },
    /// It has been told to end, and takes no more connections.
    NotAccepting,
    /// It wants to be replaced, and serves until it is told to retire.
    Replace { reason: String },
    /// It serves no more: a request that cannot be ended keeps it.
    Stuck { reason: String },
}

/// Why a launcher or a worker cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The exit code that the server ends with when it happens at its start.
    pub(crate) code: u8,
    /// Lines for people, a traceback perhaps.
    pub(crate) message: String,
}

impl Failed {
    /// A failure whose text fits into a message: of a very long one the middle is left out.
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

/// Bytes of a text in a message, which JSON may make six times as long in the worst case, and
/// hardly longer in a usual one.
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
            path: SearchPath::default(),
            file_limit: None,
            has_changed_directory: false,
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
