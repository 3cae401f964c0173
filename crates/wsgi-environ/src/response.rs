use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::head::Head;
use crate::plain_response::write_plain_head;
use crate::vectored_send::{PeerError, VectoredSend};
use crate::{Correction, HeadState, Method, Persistence, RemainingBody, ResponseHead, Transport};

/// The state of a response, on which `start_response`, `write` and the iteration over the result
/// work in turn.
pub(crate) struct Response {
    transport: Arc<dyn Transport>,
    method: Method,
    /// What may become of the connection, and once the head is sealed, what does.
    persistence: Persistence,
    head: Option<Head>,
    progress: Progress,
    /// The lines of the head; once that is sealed, what is to be sent next.
    out: Vec<u8>,
    body_bytes: u64,
    excess: u64,
    peer_error: Option<PeerError>,
    taken_back: bool,
}

/// The state of the head. It cannot be replaced once it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Open,
    Sealed,
    Sent,
}

/// Why a part of the body cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    NotStarted,
    Peer(PeerError),
}

impl Response {
    /// `out` is a buffer to be used again; what it holds is discarded.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        method: Method,
        persistence: Persistence,
        mut out: Vec<u8>,
    ) -> Self {
        out.clear();
        Self {
            transport,
            method,
            persistence,
            head: None,
            progress: Progress::Open,
            out,
            body_bytes: 0,
            excess: 0,
            peer_error: None,
            taken_back: false,
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.head.is_some()
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.progress >= Progress::Sealed
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.progress == Progress::Sent
    }

    /// Returns the status to be logged, 500 if there is none.
    pub(crate) fn status(&self) -> u16 {
        self.head.as_ref().map_or(500, |head| head.status)
    }

    /// Returns whether a Content-Length may still be added.
    pub(crate) fn lacks_length(&mut self) -> bool {
        !self.is_sealed() && self.head.as_ref().is_some_and(Head::may_add_length)
    }

    pub(crate) fn peer_error(&self) -> Option<PeerError> {
        self.peer_error
    }

    /// Returns whether the transport has taken the connection back.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.taken_back
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Sets the head, or replaces it. If the check fails nothing changes.
    pub(crate) fn start(
        &mut self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let mut lines = match self.head {
            None => mem::take(&mut self.out),
            Some(_) => Vec::new(),
        };
        match Head::write(status, headers, &mut lines) {
            Ok(head) => {
                self.head = Some(head);
                self.out = lines;
                Ok(())
            }
            Err(error) => {
                if self.head.is_none() {
                    lines.clear();
                    self.out = lines;
                }
                Err(error)
            }
        }
    }

    /// Replaces a head that has not been sent, and what is left of the response, with an error of
    /// the server's own: plain text.
    pub(crate) fn replace(self, status: u16, text: &str) -> (Vec<u8>, HeadState) {
        let mut out = self.out;
        out.clear();
        let length = write_plain_head(status, text, &mut out);
        let head = match offer(&*self.transport, &mut out, status, Some(length)) {
            true => HeadState::Sent,
            false => HeadState::InTail,
        };
        if self.method != Method::Head {
            out.extend_from_slice(text.as_bytes());
        }
        (out, head)
    }

    /// Sends a part of the body immediately, after the head if that has not been sent. Breaks if no
    /// more of the body should be sent.
    ///
    /// `size` is that of the whole body, if known.
    pub(crate) fn send(
        &mut self,
        py: Python<'_>,
        part: &Bound<'_, PyBytes>,
        size: Option<u64>,
    ) -> Result<ControlFlow<()>, SendError> {
        let part = part.as_bytes();
        // PEP 3333: headers must not be sent "until there is actual body data
        // available".
        if part.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let has_body = self.seal(size)?;
        let wanted = if has_body { self.admit(part) } else { &[] };
        if !has_body {
            self.excess = self.excess.saturating_add(part.len() as u64);
        }
        self.check_before_the_end(wanted.len() as u64);
        self.transmit(py, wanted).map_err(SendError::Peer)?;
        self.give_back();
        if self.excess == 0 {
            Ok(ControlFlow::Continue(()))
        } else {
            Ok(ControlFlow::Break(()))
        }
    }

    /// Appends the complete rest of the body to what has not been sent yet.
    pub(crate) fn queue<'py>(
        &mut self,
        py: Python<'py>,
        parts: &[Bound<'py, PyBytes>],
    ) -> Result<RemainingBody, SendError> {
        let size = parts.iter().map(|part| part.as_bytes().len() as u64).sum();
        let mut chunks = Vec::new();
        if !self.seal(self.known(size))? {
            self.excess = self.excess.saturating_add(size);
            return Ok(RemainingBody::Nothing);
        }
        for part in parts {
            let bytes = self.admit(part.as_bytes());
            self.body_bytes += bytes.len() as u64;
            if bytes.is_empty() {
                continue;
            }
            let copied = chunks.is_empty()
                && bytes.len() <= MAX_COPIED_CHUNK
                && self.out.len() + bytes.len() <= MAX_COPIED_TOTAL;
            if copied {
                self.out.extend_from_slice(bytes);
            } else if bytes.len() == part.as_bytes().len() && part.is_exact_instance_of::<PyBytes>()
            {
                // Nothing of the application runs when one of these is dropped, which a
                // class of its own may have seen to (`__del__`).
                chunks.push(PyBackedBytes::from(part.clone()));
            } else {
                chunks.push(PyBackedBytes::from(PyBytes::new(py, bytes)));
            }
        }
        if chunks.is_empty() {
            Ok(RemainingBody::Nothing)
        } else {
            Ok(RemainingBody::Chunks(chunks))
        }
    }

    /// Admits a piece of a file of `size` bytes as the rest of the body, and
    /// returns how many bytes of it are to be sent.
    pub(crate) fn queue_file(&mut self, size: u64) -> Result<u64, SendError> {
        if !self.seal(self.known(size))? {
            self.excess = self.excess.saturating_add(size);
            return Ok(0);
        }
        let wanted = size.min(self.room());
        self.excess = self.excess.saturating_add(size - wanted);
        self.body_bytes += wanted;
        Ok(wanted)
    }

    /// Ends the body after what was sent.
    pub(crate) fn end(&mut self) -> Result<(), SendError> {
        self.seal(self.known(0)).map(drop)
    }

    /// Returns whether the client receives everything that the head announced.
    pub(crate) fn is_complete(&self) -> bool {
        match &self.head {
            Some(head) if head.has_body(self.method) => {
                head.content_length == Some(self.body_bytes)
            }
            Some(_) => true,
            None => false,
        }
    }

    /// What the head says about the connection, if the response is what it announces.
    pub(crate) fn persistence(&self) -> Persistence {
        match self.persistence {
            Persistence::KeepAlive if self.is_sealed() && self.is_complete() => {
                Persistence::KeepAlive
            }
            _ => Persistence::Close,
        }
    }

    /// Returns the Content-Length that was not reached.
    pub(crate) fn missed_length(&self) -> Option<u64> {
        let head = self.head.as_ref()?;
        head.content_length
            .filter(|&length| head.has_body(self.method) && self.body_bytes < length)
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Correction>) {
        let mut corrections = Vec::new();
        if let Some(head) = self.head {
            corrections.extend(
                head.dropped
                    .iter()
                    .map(|name| Correction::HeaderDropped { name: name.clone() }),
            );
            match (self.excess, head.content_length) {
                (0, _) => {}
                (_, _) if matches!(head.status, 204 | 205 | 304) => {
                    corrections.push(Correction::BodyDropped {
                        status: head.status,
                    })
                }
                (excess, Some(declared)) if self.method != Method::Head => {
                    corrections.push(Correction::BodyCut { declared, excess });
                }
                _ => {}
            }
        }
        (self.out, corrections)
    }

    /// Finishes the head, adding the size of the body if it is known and may be
    /// added. Returns whether the response has a body.
    fn seal(&mut self, size: Option<u64>) -> Result<bool, SendError> {
        if let Some(peer_error) = self.peer_error {
            return Err(SendError::Peer(peer_error));
        }
        let head = self.head.as_mut().ok_or(SendError::NotStarted)?;
        if self.progress == Progress::Open {
            let size = head.only_length().or(size);
            if let Some(size) = size.filter(|_| head.may_add_length()) {
                head.content_length = Some(size);
                self.out.extend_from_slice(b"Content-Length: ");
                self.out
                    .extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
            if self.persistence == Persistence::KeepAlive {
                if head.is_delimited(self.method) && self.transport.is_quiet() {
                    self.out.extend_from_slice(b"Connection: keep-alive\r\n");
                } else {
                    self.persistence = Persistence::Close;
                }
            }
            if offer(
                &*self.transport,
                &mut self.out,
                head.status,
                head.content_length,
            ) {
                self.progress = Progress::Sent;
            } else {
                self.progress = Progress::Sealed;
            }
        }
        Ok(head.has_body(self.method))
    }

    /// Looks at the client again before a part is sent that ends the body, if the head
    /// has left earlier: once it has the whole response, it may send its next request.
    fn check_before_the_end(&mut self, part: u64) {
        let ends = || {
            let head = self.head.as_ref();
            head.and_then(|head| head.content_length) == Some(self.body_bytes + part)
        };
        if self.persistence == Persistence::KeepAlive
            && self.progress == Progress::Sent
            && !self.is_complete()
            && ends()
            && !self.transport.is_quiet()
        {
            self.persistence = Persistence::Close;
        }
    }

    /// Gives the connection back once the client has the whole response, of an application that
    /// may run for as long as it likes after that.
    fn give_back(&mut self) {
        if self.persistence == Persistence::KeepAlive && self.is_complete() && !self.taken_back {
            self.taken_back = self.transport.take_back();
        }
    }

    /// Returns `size` as the Content-Length to be added. An application that omits the body of a
    /// HEAD response does not mean that it would be empty.
    fn known(&self, size: u64) -> Option<u64> {
        (self.method != Method::Head || size > 0).then_some(size)
    }

    /// Cuts a part to what the Content-Length allows.
    fn admit<'a>(&mut self, part: &'a [u8]) -> &'a [u8] {
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let (wanted, excess) = part.split_at(part.len().min(room));
        self.excess = self.excess.saturating_add(excess.len() as u64);
        wanted
    }

    fn room(&self) -> u64 {
        match self.head.as_ref().and_then(|head| head.content_length) {
            Some(length) => length.saturating_sub(self.body_bytes),
            None => u64::MAX,
        }
    }

    /// Sends what waits in `out` and then a part of the body.
    fn transmit(&mut self, py: Python<'_>, part: &[u8]) -> Result<(), PeerError> {
        self.progress = Progress::Sent;
        let mut send = VectoredSend::new(&self.out, part);
        let transport = &*self.transport;
        if send.is_done() {
            return Ok(());
        }
        let mut result = Ok(());
        // Sending a small piece takes less time than letting another thread run.
        if part.len() < MIN_DETACHED_SEND {
            result = send.try_once(transport);
        }
        if result.is_ok() && !send.is_done() {
            result = py.detach(|| send.finish(transport));
        }
        let body = send.sent().saturating_sub(self.out.len());
        self.body_bytes += body as u64;
        self.out.clear();
        self.peer_error = result.err();
        result
    }
}

/// Offers the lines of a head to the transport. Unless it takes them, they are ended, to be sent.
fn offer(
    transport: &dyn Transport,
    lines: &mut Vec<u8>,
    status: u16,
    content_length: Option<u64>,
) -> bool {
    let taken = transport.take_head(ResponseHead::new(lines, status, content_length));
    if taken {
        lines.clear();
    } else {
        lines.extend_from_slice(b"\r\n");
    }
    taken
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("head", &self.head)
            .field("progress", &self.progress)
            .field("body_bytes", &self.body_bytes)
            .finish_non_exhaustive()
    }
}

/// Parts up to this size are copied after the head, so that one `send` is enough.
const MAX_COPIED_CHUNK: usize = 16 * 1024;

/// The maximum size of the head's buffer with such copies.
const MAX_COPIED_TOTAL: usize = 64 * 1024;

/// Parts from this size are sent detached from the interpreter.
const MIN_DETACHED_SEND: usize = 16 * 1024;
