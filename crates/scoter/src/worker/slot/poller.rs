//! How an idle slot sleeps: on connections, the ready queue and the stop together, without waking
//! other slots.

use std::sync::Arc;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read};

use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork::Own;
use crate::worker::Shared;
use crate::worker::connection::place::Ticket;

/// One slot's epoll instance.
#[derive(Debug)]
pub(crate) struct Poller {
    _watches: Vec<Watch>,
    epoll: Arc<Own>,
    /// Python's wake-up descriptor, which only the main thread's slot watches.
    signals: Option<Own>,
    accepting: bool,
}

/// Why a slot woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A listener has a connection.
    Listener,
    /// The ready queue has a request or a nudge, or was closed.
    Ready,
    /// Something has arrived on a kept connection, or the peer has closed it.
    Kept(Ticket),
    /// Another worker has passed on a connection.
    Passed,
    /// A reactor holds a connection.
    Held,
    /// The worker is to stop.
    Stop,
    /// There is memory that a thread with the GIL must free.
    Unneeded,
    /// A signal has arrived, for which Python may have a handler.
    Signal,
}

impl Poller {
    /// Watches everything that a slot waits for. `part` is the name of the slot.
    pub(crate) fn new(part: String, shared: &Shared, signals: Option<Own>) -> Result<Self, Errno> {
        let epoll: Own = move_up(epoll::create(CreateFlags::CLOEXEC)?);
        let mut watches = vec![watch(part, &epoll)];
        let epoll = Arc::new(epoll);
        shared.kept.add_poller(Arc::clone(&epoll));
        // EPOLLEXCLUSIVE: an event wakes one sleeping slot, not all of them.
        let exclusive = EventFlags::IN | EventFlags::EXCLUSIVE;
        for listener in &shared.listeners {
            epoll::add(&*epoll, listener, EventData::new_u64(LISTENER), exclusive)?;
        }
        epoll::add(&*epoll, &shared.ready, EventData::new_u64(READY), exclusive)?;
        if let Some(queue) = shared.kept.queue() {
            epoll::add(&*epoll, queue, EventData::new_u64(PASSED), exclusive)?;
        }
        for place in shared.held.places() {
            epoll::add(&*epoll, place, EventData::new_u64(HELD), exclusive)?;
        }
        let unneeded = EventData::new_u64(UNNEEDED);
        epoll::add(&*epoll, &*shared.response_memory, unneeded, exclusive)?;
        epoll::add(
            &*epoll,
            &shared.stop,
            EventData::new_u64(STOP),
            EventFlags::IN,
        )?;
        if let Some(signals) = &signals {
            watches.push(watch("wake-up for signals, the slot's", signals));
            epoll::add(&*epoll, signals, EventData::new_u64(SIGNAL), EventFlags::IN)?;
        }
        Ok(Self {
            _watches: watches,
            epoll,
            signals,
            accepting: true,
        })
    }

    /// Sleeps until there is something to do.
    ///
    /// # Errors
    ///
    /// Those of epoll_wait(2): the epoll instance is lost.
    pub(crate) fn wait(&self) -> Result<Wake, Errno> {
        loop {
            if let Some(wake) = self.take(None)? {
                return Ok(wake);
            }
        }
    }

    /// Returns what there is to do now, in the order in which it became ready.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub(crate) fn look(&self) -> Result<Option<Wake>, Errno> {
        self.take(Some(&Timespec::default()))
    }

    fn take(&self, timeout: Option<&Timespec>) -> Result<Option<Wake>, Errno> {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        match epoll::wait(&*self.epoll, &mut events, timeout) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Some(Wake::Signal)),
            Err(errno) => return Err(errno),
        }
        Ok(Some(match events[0].data.u64() {
            READY => Wake::Ready,
            STOP => Wake::Stop,
            UNNEEDED => Wake::Unneeded,
            SIGNAL => {
                self.consume_signals();
                Wake::Signal
            }
            PASSED => Wake::Passed,
            HELD => Wake::Held,
            LISTENER => Wake::Listener,
            ticket => Wake::Kept(Ticket::from_u64(ticket)),
        }))
    }

    /// Sees no new connections, as if the kernel had always woken somebody else.
    #[cfg(test)]
    pub(super) fn miss_connections(&self, shared: &Shared) {
        for listener in &shared.listeners {
            epoll::delete(&*self.epoll, listener).unwrap();
        }
        epoll::delete(&*self.epoll, shared.kept.queue().unwrap()).unwrap();
    }

    fn consume_signals(&self) {
        let mut numbers = [0u8; 64];
        if let Some(signals) = &self.signals {
            while read(signals, &mut numbers).is_ok_and(|count| count == numbers.len()) {}
        }
    }

    /// Whether the listeners are still watched.
    pub(crate) fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// Stops watching for new connections and for the stop. The ready queue, kept connections,
    /// signals and memory to free are still watched.
    pub(crate) fn stop_accepting(&mut self, shared: &Shared) {
        self.accepting = false;
        for listener in &shared.listeners {
            let _ = epoll::delete(&*self.epoll, listener);
        }
        for queue in shared.kept.queue().into_iter().chain(shared.held.places()) {
            let _ = epoll::delete(&*self.epoll, queue);
        }
        let _ = epoll::delete(&*self.epoll, &shared.stop);
    }
}

const READY: u64 = 0;
const STOP: u64 = 1;
const SIGNAL: u64 = 2;
const LISTENER: u64 = 3;
const UNNEEDED: u64 = 4;
const PASSED: u64 = 5;
const HELD: u64 = 6;
