//! Connections that wait for their next request, without a slot and without a thread.
//!
//! Each is [registered](registration) with the epoll instance of every slot when it is kept for
//! the first time: an event wakes one sleeping slot. The slot finds connections in the order in
//! which they became ready. A request costs no further system call for that. Several slots may
//! receive the same event, so the table of [places](places) decides who has the connection.

pub(super) mod balance;
pub(super) mod early;
pub(super) mod leave;
pub(super) mod offer;
pub(super) mod out_of_step;
pub(super) mod passing;
pub(super) mod places;
pub(super) mod registration;
pub(super) mod unplaced;

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wsgi_environ::Transport;

use crate::config::Options;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::scoreboard::Scoreboard;
use crate::sys::fork::Own;
use crate::worker::connection::Connection;
use crate::worker::connection::place::{Keeper, Ticket};
use crate::worker::stop::Ending;
use places::Places;
use unplaced::Unplaced;

/// The connections that a worker keeps.
#[derive(Debug)]
pub(crate) struct KeptConnections {
    table: Mutex<Table>,
    /// The number of occupied places, which slots read without the lock.
    taken: AtomicUsize,
    limits: Limits,
    /// The queue in which connections are left to other workers, if there may be any.
    queue: Option<ConnectionQueue>,
    board: Arc<Scoreboard>,
    unplaced: Unplaced,
    /// Connections out of step that have not been reported yet.
    out_of_step: AtomicU64,
    /// Whether the worker is ending, keeps no more connections and has none left.
    has_left: AtomicBool,
    /// Whether all workers end, so that none is left to take connections.
    is_alone: AtomicBool,
}

/// What the options allow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most connections.
    pub(crate) capacity: usize,
    /// The most requests on one connection.
    pub(crate) requests: u32,
    /// How long a connection waits for the next request.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
struct Table {
    places: Places<Arc<Connection>>,
    /// The epoll instances of the slots.
    pollers: Vec<Arc<Own>>,
    /// The epoll instance of the reactor, for what arrives while no slot sleeps.
    overflow: Option<Arc<Own>>,
    /// How the worker ends. From then on it keeps no more connections.
    leaving: Option<Ending>,
}

impl Keeper for KeptConnections {
    fn leave(&self, ticket: Ticket) {
        let mut table = self.lock();
        table.places.leave(ticket);
        self.show(&table);
    }
}

impl Limits {
    /// The limits from `options`; the `capacity` is `--keep-alive`, as far as the open file limit
    /// allows.
    pub(crate) fn of(options: &Options, capacity: usize) -> Self {
        Self {
            capacity,
            requests: options.keep_alive_requests,
            timeout: options.keep_alive_timeout.0,
        }
    }
}

impl KeptConnections {
    pub(crate) fn new(
        limits: Limits,
        queue: Option<ConnectionQueue>,
        board: Arc<Scoreboard>,
    ) -> Self {
        Self {
            table: Mutex::new(Table {
                places: Places::new(),
                pollers: Vec::new(),
                overflow: None,
                leaving: None,
            }),
            taken: AtomicUsize::new(0),
            limits,
            queue,
            board,
            unplaced: Unplaced::default(),
            out_of_step: AtomicU64::new(0),
            has_left: AtomicBool::new(false),
            is_alone: AtomicBool::new(false),
        }
    }

    /// Whether no connection is kept. Nobody needs to look for events then.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.load(Relaxed) == 0
    }

    pub(crate) fn max_requests(&self) -> u32 {
        self.limits.requests
    }

    /// How long a connection waits for the next request.
    pub(crate) fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Takes the connection that an event is about. Returns `None` if somebody else has it.
    pub(crate) fn claim(&self, ticket: Ticket) -> Option<Arc<Connection>> {
        let mut table = self.lock();
        let claimed = table.places.claim(ticket);
        self.show(&table);
        claimed
    }

    /// Keeps a connection whose response has been sent. The connection comes back if its next
    /// request may already be there: the caller must serve it.
    pub(crate) fn keep(
        self: &Arc<Self>,
        mut connection: Arc<Connection>,
    ) -> Option<Arc<Connection>> {
        if let Some(ours) = Arc::get_mut(&mut connection) {
            ours.begin_anew();
            return self.put(connection);
        }
        // Something of the request that it has served still refers to it.
        match connection.succeed() {
            Some(next) => self.put(Arc::new(next)),
            None => {
                connection.interrupt();
                None
            }
        }
    }

    /// Makes a connection wait for its next request. It comes back as from
    /// [`keep`](Self::keep).
    pub(crate) fn put(
        self: &Arc<Self>,
        mut connection: Arc<Connection>,
    ) -> Option<Arc<Connection>> {
        let Some(ticket) = self.ticket_for(&mut connection) else {
            return self.give_up(connection);
        };
        let now = Instant::now();
        let mut table = self.lock();
        if table.leaving.is_some() {
            drop(table);
            return self.give_up(connection);
        }
        let released = table.places.release(ticket, connection, now);
        self.show(&table);
        released.err()
    }

    /// Does not keep a connection in this worker: it is another one's, or the reactor's. At a stop it
    /// is closed. It comes back as from [`keep`](Self::keep).
    fn give_up(&self, connection: Arc<Connection>) -> Option<Arc<Connection>> {
        let leaving = self.lock().leaving;
        let left = match leaving {
            None => Err(connection),
            Some(Ending::Retire) if self.can_pass_on() => self.pass_on(connection),
            Some(_) => return connection.close_unless_readable(),
        };
        if let Err(connection) = left {
            self.unplaced.add([connection]);
        }
        None
    }

    /// Closes connections that have waited for too long for a request. One whose request waits for
    /// a slot is left alone. Those that come back have become readable meanwhile.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Arc<Connection>> {
        if self.is_empty() {
            return Vec::new();
        }
        let timeout = self.limits.timeout;
        let is_over = |since| now.saturating_duration_since(since) >= timeout;
        let expired = self.take_idle(|since, connection| is_over(since) && !connection.has_input());
        let readable = expired
            .into_iter()
            .filter_map(Connection::close_unless_readable);
        readable.collect()
    }

    /// Takes the waiting connections that are meant. `is_meant` receives when the wait began.
    fn take_idle(&self, is_meant: impl Fn(Instant, &Connection) -> bool) -> Vec<Arc<Connection>> {
        let mut table = self.lock();
        let tickets: Vec<_> = table
            .places
            .waiting()
            .filter(|(_, connection, since)| is_meant(*since, connection))
            .map(|(ticket, ..)| ticket)
            .collect();
        let taken = tickets.into_iter();
        let taken = taken
            .filter_map(|ticket| table.places.take(ticket))
            .collect();
        self.show(&table);
        taken
    }

    /// Whether the worker is ending, keeps no more connections and has none left.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Acquire)
    }

    fn show(&self, table: &Table) {
        self.taken.store(table.places.len(), Relaxed);
        let idle = table.places.idle() as u64;
        self.board.totals().kept.store(idle, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
