//! Running the application for one request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tracing::error;
use wsgi_environ::{
    Body, Completed, Exchange, Input, Method, Persistence, ResponseEnd, Transport, respond,
};

use crate::ipc::messages::FromWorker;
use crate::ipc::scoreboard::{Cell, Label};
use crate::log::{Entry, RequestInThread};
use crate::python::child_exit;
use crate::python::traceback::traceback;
use crate::request_head::{Param, RequestHead};
use crate::sys::process::wait_for_the_end;
use crate::worker::connection::Connection;
use crate::worker::connection::owner::Revoked;
use crate::worker::kept::early::EarlyTransport;
use crate::worker::kept::offer::{Ask, Circumstances};
use crate::worker::mounts::{given, handling, path_of};
use crate::worker::recycling::Recycling;
use crate::worker::request::intake::Request;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::report::{self, Timing};
use crate::worker::slot::Slot;
use crate::worker::uwsgi_request::UwsgiRequest;

impl Slot {
    /// Runs the application. A panic ends the request, not the slot.
    pub(super) fn serve(&mut self, py: Python<'_>, request: Request) -> Option<PendingResponse> {
        let Request {
            connection,
            head,
            body,
            overrun,
            since: _,
            queued_since,
            permit,
        } = request;
        drop(permit);
        // The worker may have ended while this thread waited for the GIL.
        if connection.owner().revoked().is_some() {
            if let Some(slot) = self.shared.monitor.slot(self.index) {
                slot.abandon();
            }
            return None;
        }
        let queued = self.cell().begin(Label::of(&head), queued_since);
        if self.shared.stop.ending().is_some() {
            if self.shared.stop.forbids_requests() {
                py.detach(|| -> () { wait_for_the_end() });
            }
            self.shared.report_not_accepting();
        }
        if let Some(missing) = self.shared.first_missing_vars(&head) {
            py.detach(|| self.shared.report(missing));
        }
        let recycling = self.shared.recycling.as_ref();
        if recycling.is_some_and(Recycling::reach) {
            let reason = "max-requests".to_owned();
            self.shared.master.send(&FromWorker::Replace { reason });
        }
        let names_requests = self.shared.names_requests;
        let running = names_requests.then(|| RequestInThread::begin(&head));
        let uwsgi = self
            .shared
            .has_uwsgi_module
            .then(|| UwsgiRequest::begin(&self.shared, &connection, self.index));
        let mut troubles = Vec::new();
        let served = catch_unwind(AssertUnwindSafe(|| {
            let may_be_kept = connection.served() > 0 || head.has(Param::KeepConn);
            let persistence = match may_be_kept {
                true => self.offer(&head, &connection, &body, overrun),
                false => Persistence::Close,
            };
            let transport = self.transport(&connection, persistence);
            let transport = match &uwsgi {
                Some(uwsgi) => uwsgi.transport(transport),
                None => transport,
            };
            let mut responded = self.respond(py, &head, transport, body, persistence);
            if let (Some(dev), Ok(completed)) = (&self.shared.dev, &mut responded) {
                dev.after_request(py, &head, completed, &self.shared.master);
            }
            if let Ok(Completed { failures, .. }) = &mut responded {
                if !failures.is_empty() {
                    let timing = Timing::from(connection.owner().revoked());
                    if timing == Timing::InTime && report::has_exception(failures) {
                        self.shared.count_exception();
                    }
                    troubles = report::put_into_words(py, failures, timing);
                }
            }
            responded
        }));
        child_exit::returned(py, None);
        drop(running);
        let status = match &served {
            Ok(Ok(completed)) => completed.status,
            Ok(Err(_)) | Err(_) => 500,
        };
        // From here on nothing of the request is left that could run application code.
        let time = match self.shared.monitor.slot(self.index) {
            Some(slot) => slot.finish(py, self.cell(), status),
            None => self.cell().end(status),
        };
        self.longest_run = self.longest_run.max(time);
        self.passed_unasked.end(time);

        let revoked = connection.owner().revoked();
        let mut completed = match served {
            Ok(Ok(completed)) => completed,
            Ok(Err(traceback)) => {
                report::environ_failed(py, &traceback);
                return internal_error(connection, head.kind(), revoked);
            }
            Err(_) => {
                // The panic hook has logged where and why.
                error!("a request was lost to a bug in scoter: please report it");
                return internal_error(connection, head.kind(), revoked);
            }
        };
        let timing = Timing::from(revoked);
        let said = uwsgi.and_then(|uwsgi| uwsgi.finish(&mut completed));
        report::completed(py, &head, &troubles, &completed, timing);
        if revoked == Some(Revoked::Whole) {
            // The reactor has answered and ends the connection.
            self.head_buffer = completed.tail.out;
            return None;
        }
        if completed.end == ResponseEnd::PeerGone && timing == Timing::InTime {
            if connection.is_lost() {
                report::connection_lost(Some(&head));
            } else {
                self.shared.peer_gone();
            }
        }
        if connection.has_spoken_early() {
            self.shared.kept.count_out_of_step();
        }
        let entry = Entry {
            head,
            status: completed.status,
            body_bytes: completed.body_bytes,
            accepted: connection.accepted(),
            queued,
            slot: Some(self.index),
            said,
        };
        // The next response may need the room.
        self.shared.response_memory.free_unneeded(py);
        Some(PendingResponse::new(connection, completed, overrun, entry))
    }

    /// # Errors
    ///
    /// The traceback, if there is no environ.
    fn respond(
        &mut self,
        py: Python<'_>,
        head: &RequestHead,
        transport: Arc<dyn Transport>,
        body: Body,
        persistence: Persistence,
    ) -> Result<Completed, String> {
        let (application, environ, input) = self
            .call(py, head, body)
            .map_err(|error| traceback(py, &error))?;
        let dev = self.shared.dev.as_ref();
        let stand_in = dev.and_then(|dev| dev.in_place_of_application(py, head));
        Ok(respond(
            stand_in.as_ref().unwrap_or(&application).bind(py),
            Exchange {
                environ,
                input,
                errors: self.errors.bind(py).clone(),
                transport,
                method: head.kind(),
                persistence,
                on_return: child_exit::returned,
                out: std::mem::take(&mut self.head_buffer),
                object_cache: &mut self.object_cache,
            },
        ))
    }

    fn transport(
        &self,
        connection: &Arc<Connection>,
        persistence: Persistence,
    ) -> Arc<dyn Transport> {
        match persistence {
            Persistence::KeepAlive => EarlyTransport::new(connection, &self.shared),
            Persistence::Close => Arc::clone(connection) as _,
        }
    }

    /// Returns what the head of the response may say about the connection. Out of line, because most
    /// front ends do not ask.
    #[inline(never)]
    fn offer(
        &self,
        head: &RequestHead,
        connection: &Connection,
        body: &Body,
        overrun: bool,
    ) -> Persistence {
        let served = connection.served();
        let kept = &self.shared.kept;
        if served > 0 {
            kept.count_reused();
        }
        let ask = Ask::of(head);
        let circumstances = Circumstances {
            ask,
            body_has_arrived: body.has_arrived(),
            overrun,
            served,
            leaving: self.shared.stop.ending().is_some(),
        };
        if circumstances.is_out_of_step() {
            kept.count_out_of_step();
        }
        match circumstances.persistence(kept.max_requests()) {
            Persistence::KeepAlive if kept.reserve(connection) => Persistence::KeepAlive,
            Persistence::KeepAlive | Persistence::Close => Persistence::Close,
        }
    }

    /// Returns the application of a request, the environ for it and the input in that.
    fn call<'py>(
        &mut self,
        py: Python<'py>,
        head: &RequestHead,
        body: Body,
    ) -> PyResult<(Py<PyAny>, Bound<'py, PyDict>, Bound<'py, Input>)> {
        let input = self.object_cache.input(py, body)?;
        let path = self.mounts.as_deref().map(|mounts| (mounts, path_of(head)));
        let mounted = path.and_then(|(mounts, path)| mounts.find(&path));
        let (application, script_name) = match &mounted {
            Some((application, mounted)) => (*application, given(mounted)),
            None => (&self.application, handling(head)),
        };
        let vars = head.vars();
        let request_id = head.request_id.in_environ();
        let environ = self
            .environ
            .build(py, vars, script_name, request_id, &input)?;
        Ok((application.clone_ref(py), environ, input))
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.shared.board.cells()[self.index]
    }
}

/// Returns the answer to a request that was lost, unless it has already been answered.
fn internal_error(
    connection: Arc<Connection>,
    method: Method,
    revoked: Option<Revoked>,
) -> Option<PendingResponse> {
    match revoked {
        None => Some(PendingResponse::bytes(
            connection,
            report::internal_error(method),
        )),
        Some(_) => None,
    }
}
