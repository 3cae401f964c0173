//! Connections that wait for their next request, without a slot and without a thread.
//!
//! Each is registered with the epoll instance of every slot (EPOLLEXCLUSIVE, EPOLLET) when it
//! is kept for the first time: an event wakes one sleeping slot, which finds the connection in
//! the order in which it became ready among the listeners and the other connections. A request
//! costs no further call for that. The same event may reach several slots, so the table of
//! [places](places) says whose the connection is.

pub(super) mod balance;
pub(super) mod leave;
pub(super) mod offer;
pub(super) mod places;

use std::os::fd::AsFd;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use tracing::{debug, warn};
use wsgi_environ::Transport;

use crate::config::Options;
use crate::ipc::connection_queue::{ConnectionQueue, PassedConnection};
use crate::ipc::scoreboard::Scoreboard;
use crate::sys::fork::Own;
use crate::worker::connection::place::{Keeper, Place, Ticket};
use crate::worker::connection::{Connection, ConnectionTimeouts};
use crate::worker::stop::Ending;
use places::Places;

/// The connections that a worker keeps.
#[derive(Debug)]
pub(crate) struct KeptConnections {
    table: Mutex<Table>,
    /// The number of places that are taken: what slots look at without the lock.
    taken: AtomicUsize,
    limits: Limits,
    /// Where connections are left to other workers, if there may be others.
    queue: Option<ConnectionQueue>,
    board: Arc<Scoreboard>,
    /// Connections out of step that have not been reported.
    out_of_step: AtomicU64,
    /// Whether connections are no longer kept here, and all that were have left.
    has_left: AtomicBool,
}

/// What an operator allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections.
    pub(crate) capacity: usize,
    /// Requests on one.
    pub(crate) requests: u32,
    /// How long one waits for the next.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
struct Table {
    places: Places<Arc<Connection>>,
    /// The epoll instances of the slots.
    pollers: Vec<Arc<Own>>,
    /// Once the worker ends, connections are not kept here any more.
    leaving: Option<Ending>,
    /// The one of the reactor, for what arrives while no slot sleeps.
    overflow: Option<Arc<Own>>,
}

impl Table {
    /// Where a connection is registered. The reactor's comes last: the kernel wakes the first
    /// one that somebody waits on.
    fn all_pollers(&self) -> Vec<Arc<Own>> {
        let pollers = self.pollers.iter().chain(&self.overflow);
        pollers.cloned().collect()
    }
}

impl Keeper for KeptConnections {
    fn leave(&self, ticket: Ticket) {
        let mut table = self.lock();
        table.places.leave(ticket);
        self.show(&table);
    }
}

impl Limits {
    /// Those of `options`, where no more than `most` descriptors are left for connections.
    pub(crate) fn of(options: &Options, most: usize) -> Self {
        Self {
            capacity: most.min(options.keep_alive as usize),
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
                leaving: None,
                overflow: None,
            }),
            taken: AtomicUsize::new(0),
            limits,
            queue: queue.map(ConnectionQueue::secured),
            board,
            out_of_step: AtomicU64::new(0),
            has_left: AtomicBool::new(false),
        }
    }

    /// Has events of the connections reach a slot, too. To be called before any is kept.
    pub(crate) fn add_poller(&self, epoll: Arc<Own>) {
        self.lock().pollers.push(epoll);
    }

    /// Whether there is none: then nobody need look for their events.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.load(Relaxed) == 0
    }

    /// Whether there is a place for one more connection. Nothing that is kept makes room:
    /// nginx does not repeat a POST that crosses a close
    /// (`ngx_http_upstream_next`: `u->request_sent`), and to keep no more loses nothing.
    pub(crate) fn has_room(&self) -> bool {
        self.taken.load(Relaxed) < self.limits.capacity
    }

    pub(crate) fn max_requests(&self) -> u32 {
        self.limits.requests
    }

    pub(crate) fn queue(&self) -> Option<&ConnectionQueue> {
        self.queue.as_ref()
    }

    /// A connection that another worker has left.
    pub(crate) fn receive_passed(&self, timeouts: ConnectionTimeouts) -> Option<Arc<Connection>> {
        let PassedConnection { fd, family, served } = self.queue.as_ref()?.receive()?;
        Some(Arc::new(Connection::passed(fd, family, timeouts, served)))
    }

    /// Takes the connection that an event is about, unless somebody else has it.
    pub(crate) fn claim(&self, ticket: Ticket) -> Option<Arc<Connection>> {
        let mut table = self.lock();
        let claimed = table.places.claim(ticket);
        self.show(&table);
        claimed
    }

    /// Keeps a connection whose response has been sent. It comes back if there may be a
    /// request already that is to be served now.
    pub(crate) fn keep(
        self: &Arc<Self>,
        mut connection: Arc<Connection>,
    ) -> Option<Arc<Connection>> {
        match Arc::get_mut(&mut connection) {
            Some(ours) => ours.begin_anew(),
            None => {
                // Something that outlives the request holds it, and could write to it.
                connection.interrupt();
                return None;
            }
        }
        self.put(connection)
    }

    /// Has a connection wait on which nothing has arrived after all. It comes back as from
    /// [`keep`](Self::keep).
    pub(crate) fn put(
        self: &Arc<Self>,
        mut connection: Arc<Connection>,
    ) -> Option<Arc<Connection>> {
        let ticket = match connection.place() {
            Some(place) => place.ticket(),
            None => match self.enter(&mut connection) {
                Ok(ticket) => ticket,
                Err(error) => {
                    debug!(%error, "a connection cannot be kept");
                    return connection.close_unless_readable();
                }
            },
        };
        let now = Instant::now();
        let mut table = self.lock();
        let ending = table.leaving;
        if ending.is_none() {
            let released = table.places.release(ticket, connection, now);
            self.show(&table);
            return released.err();
        }
        drop(table);
        match ending {
            Some(Ending::Retire) => match self.pass_on(connection) {
                Ok(()) => None,
                Err(connection) => connection.close_unless_readable(),
            },
            Some(Ending::Drain) | None => connection.close_unless_readable(),
        }
    }

    /// Gives a connection its place, and has all slots look for its events.
    fn enter(self: &Arc<Self>, connection: &mut Arc<Connection>) -> Result<Ticket, Errno> {
        let ours = Arc::get_mut(connection).ok_or(Errno::BUSY)?;
        ours.move_aside();
        let mut table = self.lock();
        let ticket = table.places.enter();
        self.taken.store(table.places.len(), Relaxed);
        let pollers = table.all_pollers();
        drop(table);
        ours.set_place(Some(Place::new(ticket, Arc::clone(self) as _)));
        // An event from now on finds the connection taken, and is seen when it is released.
        let watched = ours.fd().and_then(|fd| watch_from(&pollers, fd, ticket));
        if watched.is_err() {
            ours.set_place(None);
        }
        watched.map(|()| ticket)
    }

    /// Leaves a connection that is the caller's to another worker.
    ///
    /// # Errors
    ///
    /// It comes back if there is no queue, or if that is full.
    fn pass_on(&self, connection: Arc<Connection>) -> Result<(), Arc<Connection>> {
        let (Some(queue), Ok(fd)) = (&self.queue, connection.fd()) else {
            return Err(connection);
        };
        // First: an event that wakes a slot of this worker (EPOLLEXCLUSIVE) wakes none of
        // those that wait for it, and the file stays open when the descriptor is closed here.
        let pollers = match connection.place() {
            Some(_) => self.lock().all_pollers(),
            None => Vec::new(),
        };
        for poller in &pollers {
            let _ = epoll::delete(&**poller, fd);
        }
        match queue.send(fd, connection.family(), connection.served()) {
            Ok(()) => {
                let totals = self.board.totals();
                totals.passed_on.fetch_add(1, Relaxed);
                return Ok(());
            }
            Err(errno) => debug!(%errno, "a connection cannot be passed on for now"),
        }
        if let Some(place) = connection.place() {
            if let Err(errno) = watch_from(&pollers, fd, place.ticket()) {
                debug!(%errno, "a connection cannot be kept");
            }
        }
        Err(connection)
    }

    /// Counts a request on a connection that has served one before.
    pub(crate) fn count_reused(&self) {
        self.board.totals().reused.fetch_add(1, Relaxed);
    }

    /// Counts a connection on which the front end and this server disagree about where a
    /// request ends.
    pub(crate) fn count_out_of_step(&self) {
        let totals = self.board.totals();
        totals.out_of_step.fetch_add(1, Relaxed);
        self.out_of_step.fetch_add(1, Relaxed);
    }

    /// How many of those there have been since the last call, if any.
    pub(crate) fn take_out_of_step(&self) -> Option<OutOfStep> {
        if self.out_of_step.load(Relaxed) == 0 {
            return None;
        }
        let connections = self.out_of_step.swap(0, Relaxed);
        Some(OutOfStep { connections })
    }

    /// Ends connections that have waited for too long. What comes back has been readable just
    /// then.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Arc<Connection>> {
        if self.is_empty() {
            return Vec::new();
        }
        let timeout = self.limits.timeout;
        let expired = self.take_idle(|since| now.saturating_duration_since(since) >= timeout);
        let readable = expired
            .into_iter()
            .filter_map(Connection::close_unless_readable);
        readable.collect()
    }

    /// Takes the connections that wait, and have done so since a time that `is_meant`.
    fn take_idle(&self, is_meant: impl Fn(Instant) -> bool) -> Vec<Arc<Connection>> {
        let mut table = self.lock();
        let tickets: Vec<_> = table
            .places
            .waiting()
            .filter(|(_, _, since)| is_meant(*since))
            .map(|(ticket, ..)| ticket)
            .collect();
        let taken = tickets.into_iter();
        let taken = taken
            .filter_map(|ticket| table.places.take(ticket))
            .collect();
        self.show(&table);
        taken
    }

    /// Whether no connection is kept here any more, since the worker ends.
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

/// Connections that were out of step, to be reported together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfStep {
    connections: u64,
}

impl OutOfStep {
    pub(crate) fn log(self) {
        let Self { connections } = self;
        warn!(
            connections,
            "connections not kept: the front end sent something else behind a request than it \
             announced (check CONTENT_LENGTH and uwsgi_pass_request_body in nginx)"
        );
    }
}

/// Has every slot look for the events of a connection.
fn watch_from(pollers: &[Arc<Own>], fd: impl AsFd, ticket: Ticket) -> Result<(), Errno> {
    const EVENTS: EventFlags = EventFlags::IN
        .union(EventFlags::ET)
        .union(EventFlags::EXCLUSIVE);
    for poller in pollers {
        let data = EventData::new_u64(ticket.to_u64());
        epoll::add(&**poller, &fd, data, EVENTS)?;
    }
    Ok(())
}
