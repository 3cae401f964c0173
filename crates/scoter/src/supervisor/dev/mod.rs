//! What the master does for `scoter dev`: it listens for browsers, reloads when files change, and
//! tells the developer what has become of the last save.

mod debounce;
mod door;
mod poll;
mod port_holder;
mod private_folder;
mod terminal;
mod watch;
mod watch_list;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;
use tracing::warn;

use super::core::{Event, Notice};
use super::link::Events;
use crate::config::{DevArguments, Options, SOCKET};
use crate::ipc::messages::{Development, FromWorker, ToWorker};
use crate::sys::limits::hint_for;
use crate::sys::working_directory::working_directory;
use door::{Door, DoorError, OpenDoor};
use private_folder::{FolderError, PrivateFolder};
use terminal::Terminal;
use watch::Watch;
use watch_list::WatchList;

/// Why there is no `scoter dev`.
#[derive(Debug, Error)]
pub(crate) enum DevError {
    /// Its address cannot be had.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Its sockets have no place.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What `scoter dev` has opened before there is a server.
#[derive(Debug)]
pub(crate) struct Dev {
    door: Door,
    folder: PrivateFolder,
    arguments: DevArguments,
}

impl Dev {
    /// Listens for browsers, and makes the directory of the server's sockets.
    ///
    /// # Errors
    ///
    /// [`DevError`] says what cannot be had.
    pub(crate) fn open(arguments: DevArguments) -> Result<Self, DevError> {
        Ok(Self {
            door: Door::bind(arguments.http)?,
            folder: PrivateFolder::make()?,
            arguments,
        })
    }

    /// Says where the application is, as the first line.
    pub(crate) fn announce(&self, options: &Options) {
        let applications = options.targets().map(|(path, target)| match path {
            "" => target.to_string(),
            path => format!("{path}={target}"),
        });
        let applications: Vec<_> = applications.collect();
        Terminal::new().started(&self.door.url(), &applications.join(", "));
    }
}

/// A `scoter dev` that runs.
#[derive(Debug)]
pub(super) struct Session {
    door: OpenDoor,
    watch: Watch,
    terminal: Terminal,
    code: Code,
    /// What has changed since the last reload that has ended, and when that was seen.
    changed: Option<(PathBuf, Instant)>,
    /// It is removed last.
    _folder: PrivateFolder,
}

/// Whether the code works.
#[derive(Debug, Default)]
struct Code {
    /// Whether what serves is the application, and not a page that says why there is none.
    serves: bool,
    /// The worker that serves such a page.
    broken_worker: Option<u64>,
    /// What is wrong with the code as it was saved last.
    problem: Option<String>,
}

impl Session {
    /// Lets requests in, and begins to watch.
    ///
    /// # Errors
    ///
    /// System errors, if no threads or descriptors are available.
    pub(super) fn begin(
        dev: Dev,
        options: &Options,
        file: PathBuf,
        events: &Events,
    ) -> io::Result<Self> {
        let here = options.chdir.clone();
        let here = here.unwrap_or_else(|| working_directory().to_owned());
        let mut list = WatchList::new(&here, file);
        for file in options.targets().filter_map(|(_, target)| target.file()) {
            list.add(file);
        }
        for file in &options.env_file {
            list.add(file);
        }
        for path in &dev.arguments.watch {
            list.add_asked_for(&working_directory().join(path));
        }
        Ok(Self {
            door: dev.door.open(dev.folder.path().join(SOCKET))?,
            watch: Watch::begin(list, dev.arguments.poll, events.clone())?,
            terminal: Terminal::new(),
            code: Code::default(),
            changed: None,
            _folder: dev.folder,
        })
    }

    /// What the next generation has to know.
    pub(super) fn development(&self) -> Development {
        Development {
            serves_failure: !self.code.serves,
        }
    }

    /// What is wrong with the code that was loaded last.
    pub(super) fn problem(&self) -> Option<String> {
        self.code.problem.clone()
    }

    /// Learns from what has happened, before the supervisor does.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Touched(path) => {
                self.changed
                    .get_or_insert_with(|| (path.clone(), Instant::now()));
            }
            Event::Worker(_, FromWorker::Imported { files }) => self.watch.add(files),
            Event::Worker(serial, FromWorker::Broken { problem }) => {
                self.code.broken_worker = Some(*serial);
                self.code.problem = Some(problem.clone());
                self.watch.set_broken(true);
                self.terminal.broken(problem);
            }
            Event::Worker(serial, FromWorker::Ready { .. }) => {
                self.code.serves = self.code.broken_worker != Some(*serial);
                if self.code.serves {
                    self.code.problem = None;
                    self.watch.set_broken(false);
                }
            }
            _ => {}
        }
    }

    /// Says in the developer's words what the supervisor has to say. Returns what the log says as
    /// always, and what to tell all workers.
    pub(super) fn say(&mut self, notice: Notice) -> (Option<Notice>, Option<ToWorker>) {
        match notice {
            Notice::Ready { .. } => {
                if self.code.problem.is_none() {
                    self.terminal.ready();
                }
            }
            Notice::Reloaded { took, .. } => {
                let changed = self.changed.take();
                let took = changed.as_ref().map_or(took, |(_, at)| at.elapsed());
                if self.code.problem.is_none() {
                    self.terminal.reloaded(changed.map(|(path, _)| path), took);
                }
            }
            Notice::ReloadFailed { problem, .. } | Notice::ReloadRefused { problem, .. } => {
                self.changed = None;
                self.watch.set_broken(true);
                self.terminal.reload_failed(&problem);
                self.code.problem = Some(problem.clone());
                return (None, Some(ToWorker::NewCodeFailed { problem }));
            }
            // What follows says it.
            Notice::ApplicationLoaded { .. }
            | Notice::NewCodeReady { .. }
            | Notice::WorkerReady { .. }
            | Notice::Touched(_)
            | Notice::Reloading { .. }
            | Notice::ReloadFollows(_)
            | Notice::Deferred { .. }
            | Notice::Stopping { .. } => {}
            other => return (Some(other), None),
        }
        (None, None)
    }

    /// Lets responses that are under way reach their clients, for a moment, and no more requests in.
    pub(super) async fn end(&mut self) {
        if let Err(error) = self.door.close().await {
            warn!(
                "the thread for HTTP did not end{}: {error}",
                hint_for(&error)
            );
        }
    }
}
