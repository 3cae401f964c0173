//! The runtime's view of a launcher.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tracing::debug;

use super::configuration::Loaded;
use super::core::{Event, NewWorker};
use super::link::{Events, Link};
use crate::control::{ReaderListener, Service};
use crate::ipc::channel::Channel;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::crash_report::CrashReport;
use crate::ipc::messages::{Configuration, Development, ToLauncher, UwsgiFacts};
use crate::net::{Listener, SocketFile};
use crate::program::Program;
use crate::sys::file_limit;
use crate::sys::limits::hint_for;

/// The process that forks a generation's workers.
#[derive(Debug)]
pub(super) struct Launcher {
    link: Link,
    /// The report of its crash; `None` if another master started it.
    crash: Option<CrashReport>,
}

/// The inputs of every launcher.
#[derive(Debug)]
pub(super) struct Sockets<'a> {
    pub(super) listeners: &'a [Listener],
    pub(super) control: Option<&'a SocketFile>,
    pub(super) readers: &'a [Arc<ReaderListener>],
    pub(super) queue: Option<&'a ConnectionQueue>,
    /// Where a connection of each listener may be held.
    pub(super) held: &'a [ConnectionQueue],
    /// What workers share for the module `uwsgi`, if they have it.
    pub(super) uwsgi: Option<(BorrowedFd<'a>, UwsgiFacts)>,
}

impl Launcher {
    /// Starts a launcher, and sends it its configuration. Also returns its process ID.
    ///
    /// # Errors
    ///
    /// System errors, with the path that they concern.
    pub(super) fn start(
        serial: u64,
        generation: &Loaded,
        program: &Program,
        sockets: &Sockets<'_>,
        development: Option<Development>,
        events: Events,
    ) -> io::Result<(Self, i32)> {
        let (ours, theirs) = Channel::pair()?;
        let name = generation.options.name.as_ref();
        let mut command: Command = program.launcher(name.map(|name| name.0.as_str()));
        command.envs(generation.environment.iter());
        // The channel is passed as standard input: no other descriptor survives the exec.
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        if let Some(directory) = &generation.directory {
            command.current_dir(directory.entrance());
        }
        // On Ctrl-C only the master receives SIGINT, and stops the others.
        command.process_group(0);
        // The master reaps every child, including unknown ones.
        let child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program()).display();
            let directory = generation.directory.as_ref();
            let inside = directory.map(|it| format!(" in {}", it.path().display()));
            let (inside, hint) = (inside.unwrap_or_default(), hint_for(&error));
            let text = format!("{program}{inside}: {error}{hint}");
            io::Error::new(error.kind(), text)
        })?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        debug!(pid, "launcher started");
        let file_of = |is_it: fn(Service) -> bool| {
            let reader = sockets.readers.iter().find(|it| is_it(it.service()));
            reader.and_then(|reader| reader.file()).cloned()
        };
        let configuration = Configuration {
            settings: generation.settings.to_json(),
            listeners: sockets.listeners.iter().map(Listener::describe).collect(),
            control: sockets.control.cloned(),
            metrics: file_of(|service| service == Service::Metrics),
            uwsgi_stats: file_of(|service| matches!(service, Service::UwsgiStats(_))),
            path: program.search_path().clone(),
            file_limit: Some(file_limit::before()),
            has_changed_directory: generation.directory.is_some(),
            development,
            uwsgi: sockets.uwsgi.map(|(_, facts)| facts),
        };
        // From here on the launcher is dismissed if anything fails.
        let mut launcher = Self::adopt(serial, ours, events)?;
        let memory = configuration.to_memory()?;
        let crash = CrashReport::create()?;
        let listeners = sockets.listeners.iter().map(AsFd::as_fd);
        let fds = std::iter::once(memory.as_fd()).chain(listeners);
        let queues = sockets.queue.into_iter().chain(sockets.held);
        let queues = queues.flat_map(ConnectionQueue::ends);
        let uwsgi = sockets.uwsgi.map(|(memory, _)| memory);
        let fds = fds.chain(queues).chain(uwsgi).chain([crash.as_fd()]);
        let fds: Vec<_> = fds.collect();
        launcher.link.send(&ToLauncher::Configure, &fds)?;
        launcher.crash = Some(crash);
        Ok((launcher, pid))
    }

    /// Takes over a running launcher.
    ///
    /// # Errors
    ///
    /// Those of [`Link::new`].
    pub(super) fn adopt(serial: u64, channel: Channel, events: Events) -> io::Result<Self> {
        Ok(Self {
            link: Link::new(serial, channel, events, Event::Launcher)?,
            crash: None,
        })
    }

    /// Orders the launcher to fork a worker.
    ///
    /// # Errors
    ///
    /// Those of sending the order.
    pub(super) fn fork(&self, worker: NewWorker, fds: [BorrowedFd<'_>; 3]) -> io::Result<()> {
        let order = ToLauncher::Fork {
            worker: worker.id,
            serial: worker.serial,
            multiprocess: worker.is_multiprocess,
        };
        self.link.send(&order, &fds)
    }

    /// Has it use another file as the error log. A failure is ignored, because it is gone then.
    pub(super) fn tell_error_log(&self, file: BorrowedFd<'_>) {
        let _ = self.link.send(&ToLauncher::ErrorLog, &[file]);
    }

    /// The output of `faulthandler` if it crashed.
    pub(super) fn stack(&self) -> Option<String> {
        self.crash.as_ref().and_then(CrashReport::read)
    }
}

impl AsFd for Launcher {
    /// Its channel.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Drop for Launcher {
    /// Lets the launcher end with its last worker. Without this message, the end of the channel
    /// would mean that the whole server is gone.
    fn drop(&mut self) {
        let _ = self.link.send(&ToLauncher::End, &[]);
    }
}
