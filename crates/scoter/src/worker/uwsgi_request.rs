//! What a request is for the module `uwsgi`, where the application has it.

use std::io::{self, IoSlice};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wsgi_environ::{
    Completed, HeadState, Persistence, RemainingBody, ResponseEnd, ResponseHead, Transport,
};

use crate::log::LogVars;
use crate::python::uwsgi_module::{self, CurrentRequest, RequestControl};
use crate::worker::Shared;
use crate::worker::connection::Connection;

/// A request that is being served.
#[derive(Debug)]
pub(super) struct UwsgiRequest {
    current: Arc<CurrentRequest>,
    begun: Instant,
    has_ended: bool,
}

impl UwsgiRequest {
    /// Has the functions of the module in this thread be about this request.
    pub(super) fn begin(shared: &Arc<Shared>, connection: &Arc<Connection>, slot: usize) -> Self {
        let control = SlotControl {
            shared: Arc::clone(shared),
            connection: Arc::downgrade(connection),
            slot,
        };
        let current = Arc::new(CurrentRequest::new(Box::new(control)));
        uwsgi_module::set_current(Some(Arc::clone(&current)));
        uwsgi_module::begin_request();
        Self {
            current,
            begun: Instant::now(),
            has_ended: false,
        }
    }

    /// The transport of its response.
    pub(super) fn transport(&self, inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(Disconnectable {
            inner,
            request: Arc::clone(&self.current),
        })
    }

    /// Counts it. Nothing is left to send if its client has been disconnected.
    pub(super) fn finish(mut self, completed: &mut Completed) -> Option<Box<LogVars>> {
        if self.current.is_disconnected() {
            completed.tail.out.clear();
            completed.tail.body = RemainingBody::Nothing;
            completed.head = HeadState::Sent;
            completed.end = ResponseEnd::Complete;
            completed.persistence = Persistence::Close;
        }
        self.has_ended = true;
        uwsgi_module::end_request(
            self.begun.elapsed(),
            completed.body_bytes,
            !completed.failures.is_empty(),
        );
        self.current.said_so_far()
    }
}

impl Drop for UwsgiRequest {
    /// Counts a request that was lost.
    fn drop(&mut self) {
        if !self.has_ended {
            uwsgi_module::end_request(self.begun.elapsed(), 0, true);
        }
    }
}

/// The slot that serves a request.
struct SlotControl {
    shared: Arc<Shared>,
    /// The hook that runs after the request must not keep it open.
    connection: Weak<Connection>,
    slot: usize,
}

impl RequestControl for SlotControl {
    fn disconnect(&self) {
        let connection = self.connection.upgrade();
        if let Some(connection) = connection.filter(|it| it.owner().revoked().is_none()) {
            connection.shutdown_write();
        }
    }

    fn limit(&self, time: Option<Duration>) {
        let cell = &self.shared.board.cells()[self.slot];
        let age = time.and_then(|time| cell.age()?.checked_add(time));
        if let Some(slot) = self.shared.monitor.slot(self.slot) {
            slot.limit(age);
        }
    }
}

/// A transport whose client can be disconnected: what is sent then is dropped.
struct Disconnectable {
    inner: Arc<dyn Transport>,
    request: Arc<CurrentRequest>,
}

impl Transport for Disconnectable {
    fn take_head(&self, head: ResponseHead<'_>) -> bool {
        self.inner.take_head(head)
    }

    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.request.is_disconnected() {
            return Ok(parts.iter().map(|part| part.len()).sum());
        }
        self.inner.try_send(parts)
    }

    fn wait_writable(&self) -> io::Result<()> {
        if self.request.is_disconnected() {
            return Ok(());
        }
        self.inner.wait_writable()
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.recv(buffer)
    }

    fn is_quiet(&self) -> bool {
        !self.request.is_disconnected() && self.inner.is_quiet()
    }

    fn take_back(&self) -> bool {
        !self.request.is_disconnected() && self.inner.take_back()
    }

    fn interrupt(&self) {
        self.inner.interrupt();
    }
}
