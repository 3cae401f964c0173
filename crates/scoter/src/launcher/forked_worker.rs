//! A worker that has just been forked, in its own process.

use pyo3::prelude::*;
use tracing::{error, warn};

use super::prepared::Prepared;
use crate::ipc::channel::Channel;
use crate::ipc::messages::FromWorker;
use crate::log::{self, ProcessRole};
use crate::python::faulthandler::describe_crashes_in;
use crate::python::hooks::set_worker_id;
use crate::python::traceback::traceback;
use crate::sys::descriptors::{move_up, watch_for_ever};
use crate::sys::fork::Own;
use crate::sys::process::exit_now;
use crate::sys::process_name::set_process_name;
use crate::worker::serve;

/// A worker that has just been forked, in its own process.
pub(super) struct ForkedWorker {
    pub(super) worker: u32,
    pub(super) channel: Own,
    pub(super) board: Own,
    pub(super) crash: Own,
}

impl ForkedWorker {
    /// Runs as the worker.
    pub(super) fn serve(self, py: Python<'_>, given: Prepared, multiprocess: bool) -> ! {
        set_worker_id(self.worker);
        log::set_process_role(ProcessRole::Worker { id: self.worker });
        let name = given.options.name.as_ref().map(|name| name.0.as_str());
        set_process_name(name, &format!("w{}", self.worker));
        if let Err(failure) = describe_crashes_in(py, self.crash) {
            let traceback = traceback(py, &failure);
            warn!(%traceback, "no stack will be logged if this worker crashes");
        }
        let channel: Own = move_up(self.channel);
        let report = channel.try_clone().map(Channel::from);
        if let Ok(report) = &report {
            watch_for_ever("channel to the master, for a failed start", report);
        }
        let served = given
            .into_context(channel, self.board, multiprocess)
            .and_then(|context| serve(py, context));
        let failure = match served {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        let told =
            report.and_then(|channel| channel.send(&FromWorker::Failed(failure.report()), &[]));
        if told.is_err() {
            error!("{failure}");
        }
        exit_now(failure.exit_code())
    }
}
