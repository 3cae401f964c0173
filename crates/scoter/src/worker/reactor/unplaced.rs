//! Looks after kept connections that have no place in this worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::async_connection::AsyncConnection;
use crate::worker::reactor::idle::{self, Place};
use crate::worker::request::partial_request::PartialRequest;
use crate::worker::response::refusal::Refusal;
use crate::worker::stop::Ending;

/// Starts a task for each such connection.
#[derive(Debug, Clone)]
pub(super) struct Caretaker {
    shared: Arc<Shared>,
    /// The tasks of requests: a slot must not end before the last has come.
    tasks: TaskTracker,
    /// One connection at a time tries to get into the queue, in the order in which they came.
    passing: Arc<tokio::sync::Mutex<()>>,
}

/// What ends a wait for the next request.
enum Event {
    /// The request has begun to arrive, or the peer has ended the connection.
    News,
    /// The wait was too long, or another connection has the place.
    Expired,
    /// The worker ends.
    Stop,
}

impl Caretaker {
    pub(super) fn new(shared: Arc<Shared>, tasks: TaskTracker) -> Self {
        Self {
            shared,
            tasks,
            passing: Arc::default(),
        }
    }

    /// Takes connections in, for as long as the worker lives.
    pub(super) async fn run(self) {
        loop {
            self.shared.kept.unplaced().added().await;
            self.take_all();
        }
    }

    pub(super) fn take_all(&self) {
        for connection in self.shared.kept.unplaced().take() {
            self.tasks.spawn(self.clone().find_a_place(connection));
        }
    }

    async fn find_a_place(self, mut connection: Arc<Connection>) {
        let shared = &self.shared;
        if shared.stop.ending().is_none() {
            if let Some(ours) = Arc::get_mut(&mut connection) {
                ours.move_aside();
            }
            match self.wait(&connection).await {
                Event::News if !connection.has_input() => return,
                Event::News => return self.serve(connection).await,
                Event::Expired => {
                    if let Some(readable) = connection.close_unless_readable() {
                        self.serve(readable).await;
                    }
                    return;
                }
                Event::Stop => {}
            }
        }
        let retires = shared.stop.ending() == Some(Ending::Retire);
        let left = match retires && shared.kept.can_pass_on() {
            true => self.pass_on(connection).await,
            false => connection.close_unless_readable(),
        };
        if let Some(readable) = left {
            self.receive(readable).await;
        }
    }

    /// Waits for the next request among the connections that have sent nothing.
    async fn wait(&self, connection: &Arc<Connection>) -> Event {
        let shared = &self.shared;
        let Some(place) = idle::enter(shared) else {
            return Event::Expired;
        };
        let event = self.wait_in(&place, connection).await;
        shared.reactor.idle.leave(&place);
        event
    }

    async fn wait_in(&self, place: &Place, connection: &Arc<Connection>) -> Event {
        let stop = &self.shared.stop;
        let Ok(peer) = AsyncConnection::new(Arc::clone(connection), Interest::READABLE, stop)
        else {
            return Event::Expired;
        };
        let deadline = Instant::now() + self.shared.kept.timeout();
        tokio::select! {
            biased;
            ready = peer.ready(deadline) => match ready {
                Some(_) => Event::News,
                None => Event::Expired,
            },
            () = stop.begun() => Event::Stop,
            () = place.taken() => Event::Expired,
        }
    }

    /// Receives the request, or leaves it to whoever is free first if no slot of this worker is.
    async fn serve(&self, connection: Arc<Connection>) {
        let shared = &self.shared;
        let left = match shared.idle_slots() {
            0 => shared.kept.pass_on(connection),
            _ => Err(connection),
        };
        if let Err(connection) = left {
            self.receive(connection).await;
        }
    }

    /// Receives the request, if there is room for it.
    async fn receive(&self, connection: Arc<Connection>) {
        let shared = &self.shared;
        let Some(permit) = shared.reactor.request_permit() else {
            return shared.refuse_in_task(connection, Refusal::Overloaded);
        };
        let next = PartialRequest::next(connection);
        if let Some((refused, permit)) = next.complete(shared, permit).await {
            refused.finish(Arc::clone(shared), permit).await;
        }
    }

    /// Passes a connection on as soon as the queue has room. It comes back if that takes too long and
    /// its next request has begun to arrive, and otherwise is closed then.
    async fn pass_on(&self, mut connection: Arc<Connection>) -> Option<Arc<Connection>> {
        let kept = &self.shared.kept;
        let deadline = Instant::now() + PASSING_TIMEOUT;
        let _turn = self.passing.lock().await;
        loop {
            match kept.pass_on(connection) {
                Ok(()) => return None,
                Err(ours) => connection = ours,
            }
            if !kept.can_pass_on() {
                return connection.close_unless_readable();
            }
            if Instant::now() >= deadline {
                return kept.close_not_taken(connection);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// For how long a worker that retires tries to pass on a connection. In an overload the queue is
/// full, and all workers compete for what each request leaves of room.
const PASSING_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it tries.
const PAUSE: Duration = Duration::from_millis(1);
