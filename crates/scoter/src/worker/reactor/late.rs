//! Answers requests that have waited longer than `--queue-timeout` while every slot is busy.
//!
//! A free slot refuses them itself, when it comes to them. So nothing happens here as long as any
//! slot of this worker looks for requests: then the oldest of each listener, of the queue between
//! the workers and of the ready queue has been looked at a moment ago. Otherwise their oldest is
//! looked at, and answered once its time is over. It keeps its place until then: a slot that
//! becomes free, of whatever worker, takes it as if nobody had looked.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::ipc::connection_queue::{ConnectionQueue, Wait};
use crate::log::say_soon;
use crate::request_head::RequestHead;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::request::intake::Stage;
use crate::worker::request::receive_buffer::make_room;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::{Refusal, Refused};
use crate::worker::slot::progress::{Slots, Standstill};
use crate::worker::stop::Ending;

/// Answers late requests for as long as the worker lives.
pub(super) async fn run(shared: Arc<Shared>, queue_timeout: Duration) {
    let late = LateRequests {
        shared: &shared,
        queue_timeout,
    };
    let mut standstill = Standstill::default();
    loop {
        let slots = standstill.note(shared.progress.seen(), Instant::now());
        let pause = match slots {
            Slots::Sleep => PAUSE_OF_SLEEPERS,
            Slots::Busy(_) => PAUSE,
        };
        let stands_still = matches!(slots, Slots::Busy(time) if time >= STANDSTILL);
        if stands_still {
            late.answer_ready().await;
        }
        // A worker that retires leaves what others can take to them.
        let is_responsible = stands_still && shared.stop.ending() != Some(Ending::Retire);
        if is_responsible && shared.held.become_holder() {
            for index in 0..shared.listeners.len() {
                late.answer_new(index).await;
            }
            if let Some(queue) = shared.kept.queue() {
                late.answer_passed(queue).await;
            }
        } else {
            shared.held.give_up();
        }
        tokio::time::sleep(pause).await;
    }
}

struct LateRequests<'a> {
    shared: &'a Shared,
    queue_timeout: Duration,
}

/// What has arrived on a connection.
enum Arrived {
    /// A request for the application, whose body may be incomplete.
    Request(Arc<RequestHead>),
    /// Nothing so far, or a part of a packet.
    Part,
    /// The end, or an error.
    End,
    /// What no slot has to be free for: a ping, a packet to be refused.
    Other,
}

impl LateRequests<'_> {
    /// Answers complete requests that wait for a slot of this worker.
    async fn answer_ready(&self) {
        let shared = self.shared;
        let is_late = |request: &_| shared.admission.is_late(request, Instant::now());
        while let Some(request) = shared.ready.take_if(is_late) {
            let waited = request.waited_at_least(Instant::now());
            self.answer(request.connection, request.head, waited);
            tokio::task::yield_now().await;
        }
    }

    /// Answers connections of a listener, in their turn.
    async fn answer_new(&self, index: usize) {
        let (shared, timeouts) = (self.shared, self.shared.connection_timeouts);
        loop {
            let is_late = |since: Instant| since.elapsed() > self.queue_timeout;
            match shared.held.waiting_since(index) {
                Some(since) if is_late(since) => {
                    // Nobody else puts one there. So it is this one, unless a slot was quicker.
                    if let Some(connection) = shared.held.take_from(index, timeouts) {
                        self.end(connection, since);
                    }
                }
                Some(_) => return,
                None => {
                    let listener = &shared.listeners[index];
                    let Some(fd) = listener.accept_at_once() else {
                        return;
                    };
                    let connection = Connection::new(fd, listener.family(), timeouts);
                    self.hold(Arc::new(connection), index);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Answers requests on kept connections that workers have left to each other.
    async fn answer_passed(&self, queue: &ConnectionQueue) {
        while self.shared.is_oldest_late(queue, self.queue_timeout) {
            // The oldest, unless a slot has just taken that: then this one may not be late.
            let Some(passed) = queue.receive_at_once() else {
                return;
            };
            let wait = passed.wait;
            let connection = Connection::taken(passed, self.shared.connection_timeouts);
            let connection = Arc::new(connection);
            match self.shared.late_request(&connection, self.queue_timeout) {
                Some((head, waited)) => self.answer(connection, head, waited),
                None => self.shared.put_back_passed(queue, connection, wait),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Holds a connection that has just been accepted for the next free slot, or ends it.
    fn hold(&self, connection: Arc<Connection>, index: usize) {
        let shared = self.shared;
        let head = match shared.arrived(&connection) {
            Arrived::Request(head) => head,
            // As a slot does: a probe of whether the server is there.
            Arrived::End => return,
            // It is left to whoever is free once it is a request.
            Arrived::Part => {
                if let Err(connection) = shared.reactor.await_first_bytes(connection) {
                    shared.refuse_in_task(connection, Refusal::Overloaded);
                }
                return;
            }
            Arrived::Other => return shared.receive_in_reactor(connection),
        };
        let accepted = connection.accepted();
        let age = head.front_end_age().unwrap_or_default();
        let since = accepted.checked_sub(age).unwrap_or(accepted);
        if age > self.queue_timeout || connection.peer_is_gone() {
            return self.end(connection, since);
        }
        if shared.held.put(index, &connection, since).is_err() {
            shared.receive_in_reactor(connection);
        }
    }

    /// Answers a request that has waited for too long, or drops it if its client has gone.
    fn end(&self, connection: Arc<Connection>, since: Instant) {
        if connection.peer_is_gone() {
            return self.shared.peer_gone();
        }
        match self.shared.arrived(&connection) {
            Arrived::Request(head) => self.answer(connection, head, since.elapsed()),
            _ => self.shared.receive_in_reactor(connection),
        }
    }

    fn answer(&self, connection: Arc<Connection>, head: Arc<RequestHead>, waited: Duration) {
        let shared = self.shared;
        shared.admission.note_late(waited);
        let refused = Refused {
            refusal: Refusal::QueueTimeout { waited },
            head: Some(head),
        };
        shared.count(&refused.refusal, &connection);
        PendingResponse::refusal(connection, &refused).start_in_task(shared);
        say_soon(move || refused.log());
    }
}

impl Shared {
    /// Leaves the request on a connection that had sent nothing before to whoever is free first, if
    /// no slot of this worker is. Says whether it has.
    ///
    /// # Errors
    ///
    /// `WouldBlock` until the request can be told from a part of one: a request of which this worker
    /// has received something can only be served here.
    pub(super) fn leave_newcomer(&self, connection: &Connection) -> io::Result<bool> {
        let is_wanted = self.admission.queue_timeout().is_some() && self.kept.can_pass_on();
        let Some(queue) = self.kept.queue().filter(|_| is_wanted) else {
            return Ok(false);
        };
        if self.idle_slots() > 0 || self.stop.ending().is_some() {
            return Ok(false);
        }
        match self.arrived(connection) {
            Arrived::Request(_) => {
                let accepted = connection.accepted();
                let wait = Wait::new(accepted, accepted);
                let sent = queue.send_waiting(connection.fd()?, connection.family(), 0, wait);
                Ok(sent.is_ok())
            }
            // What never becomes one is received here. To tokio such a connection is ready for ever.
            Arrived::Part if connection.peer_has_finished() => Ok(false),
            Arrived::Part => Err(io::ErrorKind::WouldBlock.into()),
            Arrived::End | Arrived::Other => Ok(false),
        }
    }

    /// The request on a connection of the queue between the workers, and how long it has waited, if
    /// that is too long. What a new one has waited here is known without the front end's clock.
    fn late_request(
        &self,
        connection: &Connection,
        queue_timeout: Duration,
    ) -> Option<(Arc<RequestHead>, Duration)> {
        let Arrived::Request(head) = self.arrived(connection) else {
            return None;
        };
        let here = (connection.served() == 0).then(|| connection.accepted().elapsed());
        let waited = head.front_end_age().max(here)?;
        (waited > queue_timeout).then_some((head, waited))
    }

    /// Whether the oldest request in the queue between the workers is late.
    fn is_oldest_late(&self, queue: &ConnectionQueue, queue_timeout: Duration) -> bool {
        let Some(oldest) = queue.peek_connection() else {
            return false;
        };
        let copy = Connection::taken(oldest, self.connection_timeouts);
        self.late_request(&copy, queue_timeout).is_some()
    }

    /// Leaves a connection to whichever worker is free first, as it was.
    fn put_back_passed(&self, queue: &ConnectionQueue, connection: Arc<Connection>, wait: Wait) {
        let (family, served) = (connection.family(), connection.served());
        let sent = connection
            .fd()
            .and_then(|fd| queue.send_waiting(fd, family, served, wait));
        if sent.is_err() {
            self.receive_in_reactor(connection);
        }
    }

    /// What has arrived on a connection, all of which stays there.
    fn arrived(&self, connection: &Connection) -> Arrived {
        let mut buffer = BytesMut::new();
        if make_room(&mut buffer, MAX_PACKET).is_err() {
            return Arrived::Other;
        }
        match connection.peek_into(&mut buffer) {
            Ok(0) => return Arrived::End,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Arrived::Part;
            }
            Err(_) => return Arrived::End,
        }
        match self.intake.examine(&mut buffer) {
            Ok(Stage::Body(head) | Stage::Whole(head, _)) => Arrived::Request(head),
            Ok(Stage::Packet) => Arrived::Part,
            Ok(Stage::Ping(_)) | Err(_) => Arrived::Other,
        }
    }
}

/// Bytes of the largest packet, with its header.
const MAX_PACKET: usize = 4 + 65_535;

/// How long no slot must have looked for requests. One that serves short requests refuses late ones
/// itself.
const STANDSTILL: Duration = Duration::from_millis(20);

/// Between looks while all slots are busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Between looks while a slot sleeps. With the two above it bounds how late an answer may be.
const PAUSE_OF_SLEEPERS: Duration = Duration::from_millis(50);
