//! What the workers of a generation have in common.

use super::socket_cleanup::SocketCleanup;
use crate::config::Options;
use crate::failure::Failure;
use crate::ipc::channel::Channel;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::messages::Development;
use crate::ipc::scoreboard::Scoreboard;
use crate::net::{AllowList, BindError, Description, Listener, SocketFile};
use crate::python::application::Loaded;
use crate::sys::fork::Own;
use crate::worker::{MasterLink, WorkerContext};

/// The inputs of every worker of this generation.
pub(super) struct Prepared {
    pub(super) options: Options,
    pub(super) listeners: Vec<(Description, Own)>,
    pub(super) files: Vec<SocketFile>,
    /// Where workers leave connections to each other; nothing of a master that has none.
    pub(super) queue: Option<ConnectionQueue>,
    /// Where they hold a connection of each listener.
    pub(super) held: Vec<ConnectionQueue>,
    pub(super) preloaded: Option<Loaded>,
    /// What workers of `scoter dev` do besides.
    pub(super) development: Option<Development>,
}

impl Prepared {
    /// The sockets to remove when the master is gone.
    pub(super) fn cleanup(&self) -> Result<SocketCleanup, Failure> {
        let allow = AllowList::new(Vec::new());
        let mut listeners = Vec::new();
        for (description, fd) in &self.listeners {
            let listener = Listener::adopt(fd.try_clone()?, description.clone(), &allow);
            listeners.push(listener.map_err(BindError::from)?);
        }
        Ok(SocketCleanup {
            listeners,
            files: self.files.clone(),
        })
    }

    pub(super) fn into_context(
        self,
        channel: Own,
        board: Own,
        multiprocess: bool,
    ) -> Result<WorkerContext, Failure> {
        let allow = AllowList::new(self.options.allow.clone());
        let adopt = |(description, fd)| Listener::adopt(fd, description, &allow);
        let listeners: Result<_, _> = self.listeners.into_iter().map(adopt).collect();
        Ok(WorkerContext {
            listeners: listeners.map_err(BindError::from)?,
            board: Scoreboard::attach(board)?,
            master: MasterLink::Channel(Channel::from(channel)),
            queue: self.queue,
            held: self.held,
            multiprocess,
            master_files: self.files,
            preloaded: self.preloaded,
            development: self.development,
            options: self.options,
        })
    }
}
