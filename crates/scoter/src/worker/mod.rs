//! A worker: slots that run the application, and a reactor that waits on their behalf.

mod connection;
mod counters;
mod dev;
mod dispositions;
mod held;
mod kept;
mod master_link;
mod mounts;
mod one_thread;
mod orders;
mod process;
mod reactor;
mod recycling;
mod request;
mod response;
mod slot;
mod stacks;
mod start;
mod stop;
mod timeouts;
mod uwsgi_request;
mod warm_up;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uwsgi_codec::Limits;

pub(crate) use dispositions::Dispositions;
pub(crate) use master_link::{MASTER_GONE, MasterLink, is_first_to_miss_master};
pub(crate) use process::{WorkerContext, serve};
pub(crate) use stop::Ending;

use crate::config::Options;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::messages::FromWorker;
use crate::ipc::scoreboard::{Cell, Phase, Scoreboard};
use crate::log::{AccessLog, LogFormat};
use crate::net::Listener;
use crate::request_head::RequestIds;
use crate::sys::descriptors::watch_for_ever;
use crate::sys::fatal;
use crate::sys::file_limit;
use crate::sys::pool::Pool;
use crate::sys::process::DAMAGED;
use crate::sys::random;
use connection::{Connection, ConnectionTimeouts};
use dev::Dev;
use held::HeldConnections;
use kept::KeptConnections;
use reactor::{Handoffs, Reactor};
use recycling::Recycling;
use request::intake::Intake;
use request::late_body::LateBodies;
use request::partial_request::PartialRequest;
use request::ready_queue::ReadyQueue;
use response::memory::ResponseMemory;
use response::overload::Overload;
use response::pending::PendingResponse;
use response::refusal::Refusal;
use slot::admission::Admission;
use slot::progress::Progress;
use stacks::examination::Examination;
use start::Start;
use stop::Stop;
use timeouts::monitor::{Monitor, Timeouts};

/// What all threads of a worker share. None of it needs Python.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) access_log: AccessLog,
    pub(crate) stop: Stop,
    /// What every slot is doing.
    pub(crate) board: Arc<Scoreboard>,
    pub(crate) master: MasterLink,
    /// What it does besides for `scoter dev`.
    dev: Option<Dev>,
    /// How its start has ended, if it has.
    start: Start,
    slow_request: Option<Duration>,
    /// Whether what the application logs names the request.
    names_requests: bool,
    /// Whether the application has the module `uwsgi`.
    has_uwsgi_module: bool,
    missing_vars_known: AtomicBool,
    is_accepting: AtomicBool,
    graceful_timeout: Duration,
    intake: Intake,
    admission: Admission,
    overload: Overload,
    recycling: Option<Recycling>,
    monitor: Monitor,
    examination: Examination,
    header_timeout: Duration,
    connection_timeouts: ConnectionTimeouts,
    late_bodies: LateBodies,
    response_memory: Arc<ResponseMemory>,
    ready: ReadyQueue,
    reactor: Reactor,
    kept: Arc<KeptConnections>,
    held: HeldConnections,
    progress: Progress,
    /// Threads that may wait for a disk.
    files: Pool,
    /// Threads that may wait for Python.
    examiners: Pool,
}

/// What workers leave to each other.
#[derive(Debug)]
pub(crate) struct Queues {
    /// Kept connections; nothing if there are no other workers.
    pub(crate) passed: Option<ConnectionQueue>,
    pub(crate) held: HeldConnections,
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
        master: MasterLink,
        queues: Queues,
        dev: Option<Dev>,
    ) -> io::Result<(Arc<Self>, Handoffs)> {
        let master = master.secured();
        let slots = usize::from(options.threads);
        let places = file_limit::places(&options.demand(listeners.len()));
        let (reactor, handoffs) = Reactor::new(options.max_pending as usize, places.waiting, slots);
        let limits = kept::Limits::of(options, places.kept);
        let kept = KeptConnections::new(limits, queues.passed, Arc::clone(&board));
        let request_timeout = options.request_timeout.map(|timeout| timeout.0);
        // With the module an application may set one itself.
        let timeout = request_timeout.or_else(|| options.uwsgi_module.then_some(Duration::MAX));
        let timeouts = timeout.map(|request| Timeouts {
            request,
            grace: options.request_grace.0,
        });
        let recycling = options.max_requests.map(|number| {
            Recycling::new(
                number,
                options.recycle_jitter.fraction() * random::fraction(),
            )
        });
        let shared = Self {
            listeners,
            access_log,
            stop: Stop::new()?,
            board,
            master,
            dev,
            start: Start::default(),
            slow_request: options.slow_request.map(|time| time.0),
            names_requests: options.log_format == LogFormat::Json,
            has_uwsgi_module: options.uwsgi_module,
            missing_vars_known: AtomicBool::new(false),
            is_accepting: AtomicBool::new(true),
            graceful_timeout: options.graceful_timeout.0,
            intake: Intake {
                limits: Limits::default().with_max_vars(options.max_vars),
                max_body: options.max_body.map_or(u64::MAX, |size| size.0 as u64),
                body_buffer: options.body_buffer.0,
                buffer_body: options.buffer_body,
                request_ids: RequestIds::new()?,
            },
            admission: Admission::new(options.queue_timeout.map(|longest| longest.0)),
            overload: Overload::default(),
            recycling,
            monitor: Monitor::new(slots, timeouts, options.slow_request.map(|time| time.0)),
            examination: Examination::default(),
            header_timeout: options.header_timeout.0,
            connection_timeouts: ConnectionTimeouts {
                body: options.body_timeout.0,
                write: options.write_timeout.0,
            },
            late_bodies: LateBodies::new(slots, options.buffer_body),
            response_memory: ResponseMemory::new(options.response_buffer.0 as u64)?,
            ready: ReadyQueue::new()?,
            reactor,
            kept: Arc::new(kept),
            held: queues.held,
            progress: Progress::new(slots),
            files: Pool::start("scoter-file", MAX_FILE_THREADS)?,
            examiners: Pool::start("scoter-timeout", MAX_TIMEOUT_THREADS)?,
        };
        Ok((Arc::new(shared), handoffs))
    }

    /// Has the process end once it has lost a part of its own, and says how: under a master
    /// others go on with the sockets.
    fn prepare_for_losses(self: &Arc<Self>) {
        watch_for_ever(request::ready_queue::NAME, &self.ready);
        watch_for_ever(stop::NAME, &self.stop);
        watch_for_ever(response::memory::NAME, &*self.response_memory);
        if let MasterLink::Channel(channel) = &self.master {
            watch_for_ever(master_link::NAME, channel);
        }
        let shared = Arc::clone(self);
        fatal::before_the_end(move |part| {
            // What was served has been, and its lines may be for others than the one who
            // looks for the fault.
            if part != AccessLog::NAME {
                shared.access_log.close();
            }
            match shared.master {
                MasterLink::Channel(_) => DAMAGED,
                MasterLink::None => {
                    shared.close_to_newcomers();
                    1
                }
            }
        });
    }

    /// Tells the master, once a stop has begun, that no slot accepts another connection: each
    /// of them has left, or will when its request has ended. To be called by a slot that has
    /// just come to that.
    fn report_not_accepting(&self) {
        let is_out = Cell::are_all_out(self.board.cells()) && self.kept.has_left();
        if is_out && self.is_accepting.swap(false, Ordering::Relaxed) {
            self.master.send(&FromWorker::NotAccepting);
        }
    }

    /// Looks after a kept connection on which something may have arrived while no slot looked:
    /// a slot finds it there, or the reactor receives the request.
    fn look_after(&self, connection: Arc<Connection>) {
        if let Err(connection) = self.kept.put_back(connection, Instant::now()) {
            self.receive_in_reactor(connection);
        }
    }

    /// Has the reactor receive a request that has begun to arrive on a kept connection. nginx
    /// would not repeat a POST (`ngx_http_upstream_next`), so whoever finds no room is told so.
    fn receive_in_reactor(&self, connection: Arc<Connection>) {
        if self.ready.is_closed() {
            return self.refuse_in_task(connection, Refusal::NobodyLeft);
        }
        if let Err(partial) = self.reactor.complete(PartialRequest::next(connection)) {
            self.refuse_in_task(partial.connection, Refusal::Overloaded);
        }
    }

    /// Answers a request that nobody serves, of which nothing has been received.
    fn refuse_in_task(&self, connection: Arc<Connection>, refusal: Refusal) {
        self.count(&refusal, &connection);
        PendingResponse::refusal(connection, &refusal.into()).start_in_task(self);
    }

    /// Requests that the application is running now.
    pub(crate) fn running(&self) -> usize {
        let cells = self.board.cells().iter();
        cells.filter(|cell| cell.phase() != Phase::Idle).count()
    }

    /// Slots that run no request.
    fn idle_slots(&self) -> usize {
        self.board.cells().len().saturating_sub(self.running())
    }

    /// Waits until every response has left. To be called when the slots have ended.
    ///
    /// It does not return where the process ends because of a request that did not: the
    /// reactor sees to everything then.
    pub(crate) fn wait_for_responses(&self) {
        while self.monitor.is_stuck() {
            std::thread::park();
        }
        self.reactor.wait_for_responses();
        if let Some(late) = self.admission.take_late() {
            late.log();
        }
        if let Some(turned_away) = self.overload.take() {
            turned_away.log();
        }
        if let Some(out_of_step) = self.kept.take_out_of_step() {
            out_of_step.log();
        }
    }

    /// Ends together with all other workers: leaves nothing to them any more, and refuses new
    /// connections. What has been left to them already, they serve: one that still takes
    /// connections does so until the queue is empty.
    fn end_with_all(&self) {
        self.kept.be_alone();
        self.close_to_newcomers();
    }

    /// Refuses new connections, and removes the files of the sockets.
    pub(crate) fn close_to_newcomers(&self) {
        for listener in &self.listeners {
            listener.close_to_newcomers();
        }
    }
}

#[cfg(test)]
impl Shared {
    /// A worker that listens on a Unix socket at `socket`, with these arguments. Its reactor is
    /// not started.
    pub(super) fn of_test(socket: &std::path::Path, arguments: &[&str]) -> (Arc<Self>, Handoffs) {
        use crate::config::{Arguments, Settings};
        use crate::log::{AccessLogFilter, AccessLogTo};
        use crate::net::{self, Address, AllowList, Permissions};

        let arguments = ["scoter", "app"].iter().chain(arguments);
        let arguments: Vec<_> = arguments.map(std::ffi::OsString::from).collect();
        let settings = Settings::with(&Arguments::parse(&arguments).unwrap()).unwrap();
        let options = settings.options().unwrap();
        let settings = net::Settings {
            permissions: Permissions::private(None),
            backlog: 100,
            allow: AllowList::new(Vec::new()),
        };
        let listener = Listener::bind(&Address::Unix(socket.to_owned()), &settings).unwrap();
        let format = &options.access_log_format;
        let log = AccessLog::open(&AccessLogTo::Off, format, AccessLogFilter::default()).unwrap();
        let board = Scoreboard::create(usize::from(options.threads)).unwrap();
        let log = log.start().unwrap();
        Self::new(
            vec![listener],
            log,
            &options,
            Arc::new(board),
            MasterLink::None,
            Queues {
                passed: Some(ConnectionQueue::new().unwrap()),
                held: HeldConnections::new(Vec::new(), 1).unwrap(),
            },
            None,
        )
        .unwrap()
    }
}

/// Threads that may wait for a disk at the same time. None of them waits for a peer that does
/// not keep up.
const MAX_FILE_THREADS: usize = 128;

/// Threads that look into requests which run for too long. Each may have to wait for the
/// interpreter, or for source code on a disk that does not answer.
const MAX_TIMEOUT_THREADS: usize = 4;
