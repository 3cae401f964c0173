//! How slots learn that something has arrived on a kept connection.
//!
//! A connection is registered with the epoll instances of all slots, and last with that of the
//! reactor (EPOLLEXCLUSIVE, EPOLLET). An event goes from one instance to the next until it reaches
//! one that somebody waits on (`ep_poll_callback`). All instances up to there list it. So it wakes
//! one sleeping slot; if none sleeps, every slot finds it before its next sleep, and the reactor
//! sees it at once.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use tracing::{debug, warn};

use crate::sys::fork::Own;
use crate::worker::connection::Connection;
use crate::worker::connection::place::{Place, Ticket};
use crate::worker::kept::{KeptConnections, Table};

impl KeptConnections {
    /// Makes events of kept connections reach another slot. Must be called before any connection
    /// is kept.
    pub(crate) fn add_poller(&self, epoll: Arc<Own>) {
        self.lock().pollers.push(epoll);
    }

    /// Reserves a place for a connection that is about to be kept, unless it has one. Returns
    /// whether it has.
    ///
    /// No kept connection is closed to make room: nginx does not repeat a POST that crosses a close
    /// (`ngx_http_upstream_next`: `u->request_sent`), and keeping one connection fewer loses
    /// nothing.
    pub(crate) fn reserve(self: &Arc<Self>, connection: &Connection) -> bool {
        if connection.ticket().is_some() {
            return true;
        }
        let mut table = self.lock();
        if table.places.len() >= self.limits.capacity {
            return false;
        }
        let ticket = table.places.enter();
        self.show(&table);
        drop(table);
        *connection.place() = Some(Place::new(ticket, Arc::clone(self) as _));
        true
    }

    /// Returns the ticket of a connection, which gets a place and is registered if it is not yet.
    /// `None` if there is no room, or if it cannot be registered.
    pub(super) fn ticket_for(self: &Arc<Self>, connection: &mut Arc<Connection>) -> Option<Ticket> {
        if let Some(place) = &*connection.place() {
            if place.is_registered() {
                return Some(place.ticket());
            }
        }
        let ours = Arc::get_mut(connection)?;
        if !self.reserve(ours) {
            return None;
        }
        ours.move_aside();
        let ticket = ours.ticket()?;
        let pollers = self.lock().all_pollers();
        // Events from now on find the place taken. `Places::release` reports them.
        if let Err(errno) = ours.fd().and_then(|fd| register(&pollers, fd, ticket)) {
            report(errno);
            return None;
        }
        if let Some(place) = &mut *ours.place() {
            place.set_registered();
        }
        Some(ticket)
    }

    /// Makes a connection wait again, since `since`. If something has arrived on it, that is a new
    /// event, whoever has already seen it.
    ///
    /// # Errors
    ///
    /// The connection comes back if it cannot be registered, or if the worker is ending.
    pub(crate) fn put_back(
        &self,
        connection: Arc<Connection>,
        since: Instant,
    ) -> Result<(), Arc<Connection>> {
        // Whoever sees the event must find the connection idle, so it waits for the lock.
        let mut table = self.lock();
        let (Some(ticket), None) = (connection.ticket(), table.leaving) else {
            return Err(connection);
        };
        let pollers = table.all_pollers();
        let registered = connection.fd().and_then(|fd| {
            deregister(&pollers, fd);
            register(&pollers, fd, ticket)
        });
        if let Err(errno) = registered {
            report(errno);
            return Err(connection);
        }
        table.places.forget_event(ticket);
        let released = table.places.release(ticket, connection, since);
        self.show(&table);
        released
    }

    /// Makes all slots forget a connection that is the caller's.
    pub(super) fn forget(&self, connection: &Connection) {
        if let (Some(_), Ok(fd)) = (connection.ticket(), connection.fd()) {
            let pollers = self.lock().all_pollers();
            deregister(&pollers, fd);
        }
    }
}

impl Table {
    /// Where connections are registered. The instance of the reactor comes last.
    fn all_pollers(&self) -> Vec<Arc<Own>> {
        let pollers = self.pollers.iter().chain(&self.overflow);
        pollers.cloned().collect()
    }
}

fn register(pollers: &[Arc<Own>], fd: impl AsFd, ticket: Ticket) -> Result<(), Errno> {
    const EVENTS: EventFlags = EventFlags::IN
        .union(EventFlags::ET)
        .union(EventFlags::EXCLUSIVE);
    for poller in pollers {
        let data = EventData::new_u64(ticket.to_u64());
        if let Err(errno) = epoll::add(&**poller, &fd, data, EVENTS) {
            deregister(pollers, &fd);
            return Err(errno);
        }
    }
    Ok(())
}

/// Reports that a connection cannot be kept: once where that is a limit, which the next one meets
/// too.
fn report(errno: Errno) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    debug!(%errno, "a connection cannot be kept");
    if errno == Errno::NOSPC && !REPORTED.swap(true, Relaxed) {
        warn!(
            "connections cannot be kept: raise the system's limit fs.epoll.max_user_watches, or \
             lower --keep-alive or --threads (each kept connection takes a watch for each thread)"
        );
    }
}

/// An instance that does not have the connection is no error.
fn deregister(pollers: &[Arc<Own>], fd: impl AsFd) {
    for poller in pollers {
        let _ = epoll::delete(&**poller, &fd);
    }
}
