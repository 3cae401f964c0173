//! Passes connections on whose requests would wait for a slot of this worker.
//!
//! nginx picks a kept connection without knowing which worker has it and whether that worker is
//! busy. The reactor has an epoll instance of its own for the connections, after those of the
//! slots: an event reaches it only if no slot sleeps. This task then checks whether a slot is
//! about to become free. If not, it leaves the connection in the
//! [queue](crate::ipc::connection_queue). The first free slot of any worker takes it from there,
//! perhaps one of this worker.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use tracing::debug;

use crate::ipc::scoreboard::{Cell, Phase};
use crate::sys::async_fd::readable;
use crate::sys::descriptors::{move_up, watch_for_ever};
use crate::sys::fork::Own;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::place::Ticket;
use crate::worker::kept::KeptConnections;

/// The epoll instance that events reach if no slot sleeps.
#[derive(Debug)]
pub(crate) struct Overflow(Arc<Own>);

impl Overflow {
    /// Creates it as the last instance for every connection. Must be called before any
    /// connection is kept.
    ///
    /// # Errors
    ///
    /// Those of epoll_create(2).
    pub(crate) fn new(kept: &KeptConnections) -> io::Result<Self> {
        let epoll: Own = move_up(epoll::create(CreateFlags::CLOEXEC)?);
        watch_for_ever(NAME, &epoll);
        let epoll = Arc::new(epoll);
        kept.lock().overflow = Some(Arc::clone(&epoll));
        Ok(Self(epoll))
    }

    /// Waits until something arrives while no slot sleeps.
    async fn wait(&self) -> io::Result<()> {
        // Registered only while this task waits. Otherwise every event under load would wake the
        // reactor for nothing.
        let fd = readable(Arc::clone(&self.0))?;
        fd.readable().await.map(drop)
    }

    /// Takes the pending events without waiting.
    fn take(&self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; MAX_EVENTS];
        while let Ok(count) = epoll::wait(&*self.0, &mut events, Some(&Timespec::default())) {
            let new = events[..count].iter();
            tickets.extend(new.map(|event| Ticket::from_u64(event.data.u64())));
            if count < events.len() {
                break;
            }
        }
        tickets
    }
}

/// A connection on which something has arrived and that no slot has taken.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    ticket: Ticket,
    /// Since when it is idle. This changes when a slot serves it.
    idle_since: Instant,
    seen: Instant,
}

/// Passes on what waits, for as long as the worker lives.
pub(crate) async fn run(shared: Arc<Shared>, overflow: Overflow) {
    let kept = &shared.kept;
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            if let Err(error) = overflow.wait().await {
                debug!(%error, "cannot wait for kept connections");
            }
        }
        kept.note(overflow.take(), &mut waiting);
        let stand_still = stand_still(shared.board.cells(), STANDSTILL);
        let (to_pass, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|one: &Waiting| stand_still || one.seen.elapsed() >= MAX_WAIT);
        let mut to_pass = to_pass.into_iter();
        let mut passes = false;
        let full = to_pass.find(|one| {
            let passed = pass_on(&shared, one);
            passes |= passed == Passed::On;
            passed == Passed::Full
        });
        let is_full = full.is_some();
        // In the same order: they are tried again when there may be room.
        waiting = full.into_iter().chain(to_pass).chain(others).collect();
        if is_full || !passes {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether every slot has been running the same request for so long that nobody knows when it will
/// be free.
fn stand_still(cells: &[Cell], time: Duration) -> bool {
    let is_slow =
        |cell: &Cell| cell.phase() != Phase::Idle && cell.age().is_some_and(|age| age >= time);
    cells.iter().all(is_slow)
}

/// What became of a connection that was to be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// It is in the queue.
    On,
    /// A slot has it already.
    Served,
    /// The queue is full. The connection waits as before.
    Full,
}

/// Passes a connection on if it is still idle.
fn pass_on(shared: &Shared, waiting: &Waiting) -> Passed {
    let kept = &shared.kept;
    let Some(connection) = kept.take(waiting.ticket) else {
        return Passed::Served;
    };
    let Err(connection) = kept.pass_on(connection) else {
        return Passed::On;
    };
    if let Err(connection) = kept.put_back(connection, waiting.idle_since) {
        shared.receive_in_reactor(connection);
    }
    Passed::Full
}

impl KeptConnections {
    /// Adds the connections of new events, and removes those that no longer wait.
    fn note(&self, new: Vec<Ticket>, waiting: &mut Vec<Waiting>) {
        let mut table = self.lock();
        waiting.retain(|one| table.places.idle_since(one.ticket) == Some(one.idle_since));
        let seen = Instant::now();
        let new = new.into_iter().filter_map(|ticket| {
            // Whoever has it looks at it once more: no slot may have seen the event.
            let idle_since = table.places.notify(ticket)?;
            Some(Waiting {
                ticket,
                idle_since,
                seen,
            })
        });
        let known: HashSet<Ticket> = waiting.iter().map(|one| one.ticket).collect();
        waiting.extend(new.filter(|one| !known.contains(&one.ticket)));
    }

    fn take(&self, ticket: Ticket) -> Option<Arc<Connection>> {
        let mut table = self.lock();
        let taken = table.places.take(ticket);
        self.show(&table);
        taken
    }
}

/// A request that has run for this long will probably not end at once. Passing a connection on costs
/// little in comparison.
const STANDSTILL: Duration = Duration::from_micros(500);

/// How long a connection waits for slots that serve one short request after another.
const MAX_WAIT: Duration = Duration::from_millis(5);

/// Between checks while a slot may become free soon or the queue is full. Also the pause after a
/// check that found nothing to pass on, so that checks cost little under load.
const PAUSE: Duration = Duration::from_millis(1);

const MAX_EVENTS: usize = 64;

/// What the epoll instance is called where it is lost.
const NAME: &str = "overflow of kept connections";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use crate::ipc::scoreboard::{Label, Scoreboard};
    use crate::net::Family;

    /// A worker without slots, and its overflow.
    fn overflow(folder: &tempfile::TempDir) -> (Arc<Shared>, Overflow) {
        let (shared, _) = Shared::of_test(&folder.path().join("socket"), &[]);
        let overflow = Overflow::new(&shared.kept).unwrap();
        (shared, overflow)
    }

    fn connection(shared: &Shared) -> (Arc<Connection>, UnixStream) {
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
        let connection = Connection::new(ours, Family::Unix, timeouts);
        (Arc::new(connection), client)
    }

    #[test]
    fn event_before_the_connection_is_idle_is_left_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, overflow) = overflow(&folder);
        let (kept, mut waiting) = (&shared.kept, Vec::new());
        let (connection, mut client) = connection(&shared);
        assert!(kept.keep(connection).is_none());
        client.write_all(b"first").unwrap();
        let tickets = overflow.take();
        let connection = kept.claim(tickets[0]).unwrap();
        client.write_all(b"second").unwrap();
        kept.note(overflow.take(), &mut waiting);
        assert!(waiting.is_empty());
        // The overflow does not see it again, so the owner must look.
        assert!(kept.put(connection).is_some());
    }

    #[test]
    fn connections_beyond_the_room_of_the_queue_keep_their_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, overflow) = overflow(&folder);
        let (kept, mut waiting) = (&shared.kept, Vec::new());
        let (stranger, _its_client) = connection(&shared);
        let queue = kept.queue().unwrap();
        while queue.send(stranger.fd().unwrap(), Family::Unix, 1).is_ok() {}
        let (connection, mut client) = connection(&shared);
        assert!(kept.keep(connection).is_none());
        client.write_all(b"first").unwrap();
        kept.note(overflow.take(), &mut waiting);
        let seen = waiting[0].seen;
        assert_eq!(pass_on(&shared, &waiting[0]), Passed::Full);
        // It is announced again, and nothing has changed.
        kept.note(overflow.take(), &mut waiting);
        assert_eq!((waiting.len(), waiting[0].seen), (1, seen));
        while queue.receive().is_some() {}
        assert_eq!(pass_on(&shared, &waiting[0]), Passed::On);
        assert_eq!(pass_on(&shared, &waiting[0]), Passed::Served);
        assert!(queue.receive().is_some());
    }

    #[test]
    fn slots_stand_still_if_all_are_busy_for_long() {
        let board = Scoreboard::create(2).unwrap();
        let (cells, label) = (
            board.cells(),
            Label {
                method: b"GET",
                uri: b"/",
                request_id: b"1",
            },
        );
        let (long, short) = (Duration::from_secs(3_600), Duration::ZERO);
        assert!(!stand_still(cells, short));
        cells[0].begin(label, None);
        assert!(!stand_still(cells, short));
        cells[1].begin(label, None);
        assert!(stand_still(cells, short) && !stand_still(cells, long));
        cells[0].end(200);
        assert!(!stand_still(cells, short));
    }
}
