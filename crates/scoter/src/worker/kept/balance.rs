//! Passes connections on to other workers, where a request would wait for a slot of this one.
//!
//! nginx picks a kept connection without knowing which worker has it, or whether that is busy.
//! The reactor has an epoll instance of its own for the connections, behind those of the slots:
//! with EPOLLEXCLUSIVE an event reaches it only if no slot sleeps. Then this task looks whether
//! the slots are about to be free. If not, it leaves the connection in the
//! [queue](crate::ipc::connection_queue), from which whoever is free first takes it: perhaps
//! this worker itself.

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

/// The epoll instance that events reach while no slot sleeps.
#[derive(Debug)]
pub(crate) struct Overflow(Arc<Own>);

impl Overflow {
    /// Makes it, and has it be the last one for every connection. To be called before any is
    /// kept.
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

    /// Waits until something has arrived for which no slot was there.
    async fn wait(&self) -> io::Result<()> {
        // Registered only for as long as it is waited for: with many requests each event would
        // wake the reactor, for nothing.
        let fd = readable(Arc::clone(&self.0))?;
        fd.readable().await.map(drop)
    }

    /// Takes the events that there are, without waiting.
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

/// A connection that has something to read, and that no slot has come for.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    ticket: Ticket,
    /// Since when it was idle: a slot that has served it meanwhile has made that later.
    idle_since: Instant,
    seen: Instant,
}

/// Looks at what waits for as long as the worker lives.
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
        waiting = others;
        let passed = to_pass.iter().filter(|one| pass_on(&shared, one.ticket));
        if passed.count() == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether all slots have been busy with the same request for so long that there is no telling
/// when one of them will be free.
fn stand_still(cells: &[Cell], time: Duration) -> bool {
    let is_slow =
        |cell: &Cell| cell.phase() != Phase::Idle && cell.age().is_some_and(|age| age >= time);
    cells.iter().all(is_slow)
}

/// Passes a connection on if it is still idle. If the queue is full, it waits here as before, or
/// the reactor receives its request for the slot that is free next. Returns whether it has gone.
fn pass_on(shared: &Shared, ticket: Ticket) -> bool {
    let kept = &shared.kept;
    let Some(connection) = kept.take(ticket) else {
        return false;
    };
    let Err(connection) = kept.pass_on(connection) else {
        return true;
    };
    if let Some(readable) = kept.put(connection) {
        shared.receive_in_reactor(readable);
    }
    false
}

impl KeptConnections {
    /// Adds the connections of new events to those that wait, and removes those that do not any
    /// more.
    fn note(&self, new: Vec<Ticket>, waiting: &mut Vec<Waiting>) {
        let table = self.lock();
        waiting.retain(|one| table.places.idle_since(one.ticket) == Some(one.idle_since));
        let seen = Instant::now();
        let new = new.into_iter().filter_map(|ticket| {
            let idle_since = table.places.idle_since(ticket)?;
            Some(Waiting {
                ticket,
                idle_since,
                seen,
            })
        });
        let new: Vec<_> = new
            .filter(|one| !waiting.iter().any(|w| w.ticket == one.ticket))
            .collect();
        waiting.extend(new);
    }

    fn take(&self, ticket: Ticket) -> Option<Arc<Connection>> {
        let mut table = self.lock();
        let taken = table.places.take(ticket);
        self.show(&table);
        taken
    }
}

/// A request that has run for so long is not over at once. What has been passed on has then
/// cost little beside it.
const STANDSTILL: Duration = Duration::from_micros(500);

/// How long a connection waits for slots that serve one short request after the other.
const MAX_WAIT: Duration = Duration::from_millis(5);

/// Between looks while the slots may be free soon. Also how long the task does not look once
/// they were, so that it costs little however many requests there are.
const PAUSE: Duration = Duration::from_millis(1);

const MAX_EVENTS: usize = 64;

/// What the epoll instance is called where it is lost.
const NAME: &str = "overflow of kept connections";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::scoreboard::{Label, Scoreboard};

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
        cells[0].begin(label, Duration::ZERO);
        assert!(!stand_still(cells, short));
        cells[1].begin(label, Duration::ZERO);
        assert!(stand_still(cells, short) && !stand_still(cells, long));
        cells[0].end(200);
        assert!(!stand_still(cells, short));
    }
}
