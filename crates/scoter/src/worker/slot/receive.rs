//! Receiving a request with a single system call, which is enough for most.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use wsgi_environ::Body;

use crate::request_head::RequestHead;
use crate::worker::connection::Connection;
use crate::worker::request::intake::{Request, Stage, streamed_body};
use crate::worker::request::partial_request::{Part, PartialRequest};
use crate::worker::request::receive_buffer::make_room;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::{Refusal, Refused};
use crate::worker::slot::Slot;

impl Slot {
    /// Receives once, which is enough for most requests. The reactor receives the others.
    pub(super) fn receive(&mut self, mut connection: Arc<Connection>) -> Option<Request> {
        let is_kept = connection.served() > 0;
        self.receive_buffer.clear();
        if let Err(error) = make_room(&mut self.receive_buffer, RECEIVE_BUFFER) {
            self.refuse(connection, &error.into());
            return None;
        }
        let received = match is_kept {
            true => self.receive_next(&connection),
            false => self.receive_first(&connection),
        };
        match received {
            // A probe of whether the server is there.
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_kept => {
                self.signalled = self.shared.kept.put(connection);
                return None;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Err(connection) = self.shared.reactor.await_first_bytes(connection) {
                    self.refuse(connection, &Refusal::Overloaded.into());
                }
                return None;
            }
            Err(error) => {
                let refusal = Refusal::of(&connection, error);
                self.refuse(connection, &refusal.into());
                return None;
            }
        }
        if let Some(ours) = Arc::get_mut(&mut connection).filter(|_| is_kept) {
            ours.begin_request();
        }
        let (head, body) = match self.shared.intake.examine(&mut self.receive_buffer) {
            Ok(Stage::Whole(head, body)) => (head, body),
            Ok(Stage::Packet) => {
                let mut received = BytesMut::new();
                if let Err(error) = make_room(&mut received, self.receive_buffer.len()) {
                    self.refuse(connection, &error.into());
                    return None;
                }
                received.extend_from_slice(&self.receive_buffer);
                self.complete_later(connection, received, Part::Packet);
                return None;
            }
            Ok(Stage::Body(head)) => match self.stream(&connection, &head) {
                Some(body) => (head, body),
                None => {
                    let received = std::mem::take(&mut self.receive_buffer);
                    self.complete_later(connection, received, Part::Body(head));
                    return None;
                }
            },
            Ok(Stage::Ping(answer)) => {
                PendingResponse::bytes(connection, answer.to_vec()).start(&self.shared);
                return None;
            }
            Err(refused) => {
                self.refuse(connection, &refused);
                return None;
            }
        };
        Some(Request {
            since: connection.accepted(),
            queued_since: None,
            connection,
            head,
            body,
            overrun: !self.receive_buffer.is_empty(),
            permit: None,
        })
    }

    /// Receives the next request of a kept connection, unless another slot was quicker.
    fn receive_next(&mut self, connection: &Connection) -> io::Result<usize> {
        self.wake_policy.request_taken();
        connection.recv_into(&mut self.receive_buffer)
    }

    /// nginx connects and writes at once, but a waiting slot can be quicker than the write. A short
    /// wait is cheaper than two context switches.
    fn receive_first(&mut self, connection: &Connection) -> io::Result<usize> {
        let received = connection.recv_into(&mut self.receive_buffer);
        let blocked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let written = !received.as_ref().is_err_and(blocked);
        self.wake_policy.accepted(written);
        if written {
            return received;
        }
        if !self.shared.reactor.is_worth_a_wait() {
            return received;
        }
        match connection.wait_readable(FIRST_BYTES_TIMEOUT) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            waited => {
                waited?;
                connection.recv_into(&mut self.receive_buffer)
            }
        }
    }

    /// Returns the body, if the application is to read it as it arrives and it has begun to
    /// arrive.
    fn stream(&mut self, connection: &Arc<Connection>, head: &RequestHead) -> Option<Body> {
        let length = head.content_length().unwrap_or(0);
        let streams = self.shared.intake.streams(length);
        // A front end that sends a file writes it after the packet, with another system call.
        let has_begun = || {
            !self.receive_buffer.is_empty() || connection.wait_readable(FIRST_BYTES_TIMEOUT).is_ok()
        };
        (streams && has_begun())
            .then(|| streamed_body(&mut self.receive_buffer, length, Arc::clone(connection)))
    }

    fn complete_later(&self, connection: Arc<Connection>, buffer: BytesMut, missing: Part) {
        let partial = PartialRequest {
            connection,
            buffer,
            missing,
        };
        if let Err(partial) = self.shared.reactor.complete(partial) {
            let refused = Refused {
                refusal: Refusal::Overloaded,
                head: partial.missing.into_head(),
            };
            self.refuse(partial.connection, &refused);
        }
    }

    pub(super) fn refuse(&self, connection: Arc<Connection>, refused: &Refused) {
        refused.log();
        self.shared.count(&refused.refusal, &connection);
        PendingResponse::refusal(connection, refused).start(&self.shared);
    }
}

/// Room for the largest packet, 4 + 65 535 bytes, and a medium-sized body.
const RECEIVE_BUFFER: usize = 128 * 1_024;

/// How long a slot waits for the first bytes of a connection or of a large body.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_millis(1);
