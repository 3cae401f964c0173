//! A worker: slots that run the application, and a reactor that waits on their behalf.

mod arrival;
mod connection;
mod departure;
mod orders;
mod outgoing;
mod overseer;
mod poller;
mod process;
mod reactor;
mod ready;
mod refusal;
mod report;
mod request;
mod slot;
mod stop;
mod waiter;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uwsgi_codec::Limits;

pub(crate) use overseer::Overseer;
pub(crate) use process::{Duty, serve};
pub(crate) use stop::Ending;

use crate::config::Options;
use crate::listen::Listener;
use crate::log::{AccessLog, RequestIds};
use crate::scoreboard::{Phase, Scoreboard};
use connection::Patience;
use reactor::{Handoffs, Reactor};
use ready::ReadyQueue;
use request::Intake;
use slot::Slot;
use stop::Stop;

/// What all threads of a worker share. None of it needs Python.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) access_log: AccessLog,
    pub(crate) stop: Stop,
    pub(crate) board: Arc<Scoreboard>,
    pub(crate) overseer: Overseer,
    request_ids: RequestIds,
    slow_request: Option<Duration>,
    serving: AtomicBool,
    intake: Intake,
    header_timeout: Duration,
    patience: Patience,
    ready: ReadyQueue,
    reactor: Reactor,
}

impl Shared {
    /// Prepares a worker that serves `listeners` as `options` say.
    ///
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors to give.
    pub(crate) fn new(
        listeners: Vec<Listener>,
        access_log: AccessLog,
        options: &Options,
        board: Arc<Scoreboard>,
        overseer: Overseer,
    ) -> io::Result<(Arc<Self>, Handoffs)> {
        let (reactor, handoffs) =
            Reactor::new(options.max_pending as usize, usize::from(options.threads));
        let shared = Self {
            listeners,
            access_log,
            stop: Stop::new()?,
            board,
            overseer,
            request_ids: RequestIds::new()?,
            slow_request: options.slow_request.map(|time| time.0),
            serving: AtomicBool::new(false),
            intake: Intake {
                limits: Limits::default(),
                body_buffer: options.body_buffer.0,
                buffer_body: options.buffer_body,
            },
            header_timeout: options.header_timeout.0,
            patience: Patience {
                body: options.body_timeout.0,
                write: options.write_timeout.0,
            },
            ready: ReadyQueue::new()?,
            reactor,
        };
        Ok((Arc::new(shared), handoffs))
    }

    /// Says that the slots run from now on, so that a stop has to wait for them.
    pub(crate) fn begin_serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Requests that the application is running now.
    pub(crate) fn running(&self) -> usize {
        let cells = self.board.cells().iter();
        cells.filter(|cell| cell.phase() != Phase::Idle).count()
    }

    /// Counts a peer that went away. That is no error.
    fn peer_gone(&self) {
        let totals = self.board.totals();
        totals.peers_gone.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Waits until every response has left. To be called when the slots have ended.
    pub(crate) fn wait_for_departures(&self) {
        self.reactor.wait_for_departures();
    }

    /// Lets nobody connect any more, and removes the files of the sockets.
    pub(crate) fn close_to_newcomers(&self) {
        for listener in &self.listeners {
            listener.close_to_newcomers();
        }
    }
}
