//! Connections that have not sent a byte. Beyond their limit the oldest is closed, but never a
//! request that has begun to arrive.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::log::say;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::async_connection::{AsyncConnection, Waited};
use crate::worker::request::intake::Stage;
use crate::worker::request::partial_request::{Part, PartialRequest, Received, conclude};
use crate::worker::request::receive_buffer::make_room;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::{Refusal, Refused};

/// The idle connections of a worker, and the room for them.
#[derive(Debug)]
pub(crate) struct IdleConnections {
    room: Arc<Semaphore>,
    capacity: usize,
    waiting: Mutex<Waiting>,
}

/// The oldest comes first.
#[derive(Debug, Default)]
struct Waiting {
    places: BTreeMap<u64, (OwnedSemaphorePermit, CancellationToken)>,
    next: u64,
}

/// A place that another connection can take.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    taken: CancellationToken,
}

/// Where a new connection waits.
#[derive(Debug)]
enum Entered {
    /// In a place that was free.
    Free(Place),
    /// In the place of the oldest, which is to be closed.
    Instead(Place),
    /// Nowhere: requests that are complete and wait for a slot have all the places.
    Full,
}

/// Gives a connection a place to wait, and counts what is closed for it: the oldest, or for lack
/// of any place (`None`) the connection itself.
pub(super) fn enter(shared: &Shared) -> Option<Place> {
    match shared.reactor.idle.enter() {
        Entered::Free(place) => Some(place),
        Entered::Instead(place) => {
            shared.overload.idle_closed();
            Some(place)
        }
        Entered::Full => {
            shared.overload.idle_closed();
            None
        }
    }
}

impl IdleConnections {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(capacity)),
            capacity,
            waiting: Mutex::default(),
        }
    }

    /// Whether there are so few that a slot may look a second time for the first bytes.
    pub(crate) fn are_few(&self) -> bool {
        let waiting = self.capacity - self.room.available_permits().min(self.capacity);
        waiting < MAX_FEW.min(self.capacity.div_ceil(2))
    }

    fn enter(&self) -> Entered {
        let mut waiting = self.lock();
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Entered::Free(waiting.add(permit));
        }
        match waiting.places.pop_first() {
            Some((_, (permit, taken))) => {
                taken.cancel();
                Entered::Instead(waiting.add(permit))
            }
            None => Entered::Full,
        }
    }

    /// Gives the permit of a place to a connection that has sent something, unless the place
    /// has been taken.
    pub(super) fn leave(&self, place: &Place) -> Option<OwnedSemaphorePermit> {
        let (permit, _) = self.lock().places.remove(&place.number)?;
        Some(permit)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until another connection has the place.
    pub(super) async fn taken(&self) {
        self.taken.cancelled().await;
    }
}

impl Waiting {
    fn add(&mut self, permit: OwnedSemaphorePermit) -> Place {
        let taken = CancellationToken::new();
        let number = self.next;
        self.next += 1;
        self.places.insert(number, (permit, taken.clone()));
        Place { number, taken }
    }
}

/// Waits for the first bytes of a connection, and has the rest of the request waited for.
///
/// A request that comes whole needs no place among those that wait for their rest: the permit
/// of its place here bounds the queue for the slots as well. What cannot be served comes back
/// with what is to be said about it; a connection that has lost its place is closed.
pub(crate) async fn await_request(
    connection: Arc<Connection>,
    place: Place,
    shared: &Arc<Shared>,
) -> Option<(PendingResponse, OwnedSemaphorePermit)> {
    let received = tokio::select! {
        biased;
        received = receive(&connection, shared) => match received {
            Ok(Begun::Here(buffer)) => Ok(buffer),
            Ok(Begun::Elsewhere) => {
                shared.reactor.idle().leave(&place);
                return None;
            }
            Err(refusal) => Err(refusal),
        },
        // It may have sent something in this very moment.
        () = place.taken() => look(&connection)?,
    };
    let permit = shared.reactor.idle().leave(&place);
    let Some(permit) = permit.or_else(|| shared.reactor.request_permit()) else {
        // The place was taken as the bytes came: this is a request, and is answered.
        let refused = Refused::from(received.err().unwrap_or(Refusal::Overloaded));
        shared.count(&refused.refusal, &connection);
        PendingResponse::refusal(connection, &refused).start_in_task(shared);
        say(move || refused.log()).await;
        return None;
    };
    let examined = received.map_err(Refused::from).and_then(|mut buffer| {
        let stage = shared.intake.examine(&mut buffer)?;
        Ok((stage, buffer))
    });
    let (missing, buffer) = match examined {
        Ok((Stage::Packet, buffer)) => (Part::Packet, buffer),
        Ok((Stage::Body(head), buffer)) => (Part::Body(head), buffer),
        Ok((Stage::Whole(head, body), buffer)) => {
            let request = Received::Request(head, body, !buffer.is_empty());
            return conclude(connection, Ok(request), shared, permit).await;
        }
        Ok((Stage::Ping(answer), _)) => {
            return conclude(connection, Ok(Received::Ping(answer)), shared, permit).await;
        }
        Err(refused) => return conclude(connection, Err(refused), shared, permit).await,
    };
    let Some(permit_for_rest) = shared.reactor.request_permit() else {
        let refused = Refused {
            refusal: Refusal::Overloaded,
            head: missing.into_head(),
        };
        return conclude(connection, Err(refused), shared, permit).await;
    };
    drop(permit);
    let partial = PartialRequest {
        connection,
        buffer,
        missing,
    };
    partial.complete(shared, permit_for_rest).await
}

/// Where a request is received.
enum Begun {
    Here(BytesMut),
    /// By whoever takes it out of the queue between the workers.
    Elsewhere,
}

async fn receive(connection: &Arc<Connection>, shared: &Shared) -> Result<Begun, Refusal> {
    let peer = AsyncConnection::new(Arc::clone(connection), Interest::READABLE, &shared.stop)
        .map_err(|error| Refusal::of(connection, error))?;
    let deadline = (connection.accepted() + shared.header_timeout).into();
    let mut buffer = BytesMut::new();
    let receive = |peer: &Connection| {
        if shared.leave_newcomer(peer)? {
            return Ok(None);
        }
        // Only now, for who sends nothing is to take no memory.
        make_room(&mut buffer, MAX_PACKET).map_err(|_| io::ErrorKind::OutOfMemory)?;
        peer.recv_into(&mut buffer).map(Some)
    };
    match peer.wait(deadline, receive).await {
        Waited::Done(Ok(None)) => Ok(Begun::Elsewhere),
        Waited::Done(Ok(Some(0))) => Err(Refusal::PeerGone),
        // What has come may wait for a long time.
        Waited::Done(Ok(Some(_))) => Ok(Begun::Here(BytesMut::from(&buffer[..]))),
        Waited::Done(Err(error)) => Err(Refusal::of(connection, error)),
        Waited::TimedOut => {
            // A part that nobody has received.
            let part = look(connection).and_then(Result::ok);
            let received = part.map_or(0, |part| part.len());
            Err(Refusal::HeaderTimeout { received })
        }
        Waited::Stopping => Err(Refusal::Stopping),
    }
}

/// What has come without waiting, if anything.
fn look(connection: &Connection) -> Option<Result<BytesMut, Refusal>> {
    let mut buffer = BytesMut::new();
    make_room(&mut buffer, MAX_PACKET).ok()?;
    match connection.recv_into(&mut buffer) {
        Ok(1..) => Some(Ok(BytesMut::from(&buffer[..]))),
        Ok(0) | Err(_) => None,
    }
}

/// Bytes of the largest packet, with its header.
const MAX_PACKET: usize = 4 + 65_535;

/// More idle connections than these are no accident: no slot waits for another one.
const MAX_FEW: usize = 32;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::net::Family;

    #[tokio::test]
    async fn request_whose_place_was_taken_as_it_came_is_answered_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--max-pending", "1"];
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &arguments);
        let idle = shared.reactor.idle();
        let Entered::Free(place) = idle.enter() else {
            panic!("there was room")
        };
        assert!(matches!(idle.enter(), Entered::Instead(_)));
        let _all = shared.reactor.request_permit().unwrap();
        let (ours, mut client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        client.write_all(b"\0").unwrap();
        let ours = OwnedFd::from(ours);
        let connection = Arc::new(Connection::new(
            ours,
            Family::Unix,
            shared.connection_timeouts,
        ));
        assert!(await_request(connection, place, &shared).await.is_none());
        let mut answer = String::new();
        // The rest of what was sent is not read, so that there may be a reset behind it.
        let _ = client.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let refused = &shared.board.totals().refused;
        assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn oldest_makes_room_and_who_has_left_does_not() {
        let idle = IdleConnections::new(2);
        let Entered::Free(first) = idle.enter() else {
            panic!("there was room")
        };
        let Entered::Free(second) = idle.enter() else {
            panic!("there was room")
        };
        let Entered::Instead(third) = idle.enter() else {
            panic!("the first one was there")
        };
        assert!(first.taken.is_cancelled() && !second.taken.is_cancelled());
        assert!(idle.leave(&first).is_none());
        let served = idle.leave(&second);
        assert!(served.is_some());
        let Entered::Instead(fourth) = idle.enter() else {
            panic!("the third one was there")
        };
        assert!(third.taken.is_cancelled());
        // Both places belong to requests now.
        let waits = idle.leave(&fourth);
        assert!(matches!(idle.enter(), Entered::Full));
        drop(waits);
        assert!(matches!(idle.enter(), Entered::Free(_)));
    }

    #[test]
    fn few_are_fewer_than_half_of_the_room() {
        for (capacity, few) in [(1, 1), (2, 1), (8, 4), (1_024, MAX_FEW)] {
            let idle = IdleConnections::new(capacity);
            let places: Vec<_> = (0..few)
                .map(|_| {
                    assert!(idle.are_few(), "{capacity}");
                    idle.enter()
                })
                .collect();
            assert!(!idle.are_few(), "{capacity}");
            drop(places);
        }
    }
}
