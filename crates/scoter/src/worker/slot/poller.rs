//! How an idle slot sleeps: on the listeners, the ready queue and the stop signal together,
//! without waking other slots.

use std::os::fd::AsFd;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read};

use crate::net::Listener;
use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork::Own;
use crate::worker::Shared;

/// One slot's epoll instance.
#[derive(Debug)]
pub(crate) struct Poller {
    _watches: Vec<Watch>,
    epoll: Own,
    /// Python's wake-up descriptor, watched by the main thread's slot alone.
    signals: Option<Own>,
    accepting: bool,
}

/// Why a slot woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A listener has a connection.
    Listener,
    /// The ready queue has something, or was closed.
    Ready,
    /// The worker is to stop.
    Stop,
    /// There is memory that a thread with Python is to free.
    Unneeded,
    /// A signal arrived, which Python may have a handler for.
    Signal,
}

impl Poller {
    /// Watches everything a slot waits for. `part` is what the slot is called.
    pub(crate) fn new(part: String, shared: &Shared, signals: Option<Own>) -> Result<Self, Errno> {
        let epoll: Own = move_up(epoll::create(CreateFlags::CLOEXEC)?);
        let mut watches = vec![watch(part, &epoll)];
        // EPOLLEXCLUSIVE: an event wakes one sleeping slot, not all of them.
        let exclusive = EventFlags::IN | EventFlags::EXCLUSIVE;
        for listener in &shared.listeners {
            epoll::add(&epoll, listener, EventData::new_u64(LISTENER), exclusive)?;
        }
        epoll::add(&epoll, &shared.ready, EventData::new_u64(READY), exclusive)?;
        let unneeded = EventData::new_u64(UNNEEDED);
        epoll::add(&epoll, &*shared.response_memory, unneeded, exclusive)?;
        epoll::add(
            &epoll,
            &shared.stop,
            EventData::new_u64(STOP),
            EventFlags::IN,
        )?;
        if let Some(signals) = &signals {
            watches.push(watch("wake-up for signals, the slot's", signals));
            epoll::add(&epoll, signals, EventData::new_u64(SIGNAL), EventFlags::IN)?;
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
    /// Those of epoll_wait(2): there is nothing to wait on any more.
    pub(crate) fn wait(&self) -> Result<Wake, Errno> {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        loop {
            match epoll::wait(&self.epoll, &mut events, None) {
                Ok(0) => {}
                Ok(_) => break,
                Err(Errno::INTR) => return Ok(Wake::Signal),
                Err(errno) => return Err(errno),
            }
        }
        Ok(match events[0].data.u64() {
            READY => Wake::Ready,
            STOP => Wake::Stop,
            UNNEEDED => Wake::Unneeded,
            SIGNAL => {
                self.consume_signals();
                Wake::Signal
            }
            _ => Wake::Listener,
        })
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

    /// Waits for connections and for the stop no more: for the ready queue, signals and memory to
    /// free it still does.
    pub(crate) fn stop_accepting(&mut self, listeners: &[Listener], stop: impl AsFd) {
        self.accepting = false;
        for listener in listeners {
            let _ = epoll::delete(&self.epoll, listener);
        }
        let _ = epoll::delete(&self.epoll, stop);
    }
}

const READY: u64 = 0;
const STOP: u64 = 1;
const SIGNAL: u64 = 2;
const LISTENER: u64 = 3;
const UNNEEDED: u64 = 4;
