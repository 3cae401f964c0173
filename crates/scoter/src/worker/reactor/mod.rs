//! The reactor: one thread that waits on behalf of the slots.
//!
//! Incomplete packets, bodies that are still arriving, responses to slow readers and unread
//! input do not hold a slot. Python never runs here.

pub(super) mod idle;

mod late;
mod unplaced;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::log::say;
use crate::net::Listener;
use crate::sys::descriptors::watch_opened;
use crate::sys::fatal;
use crate::sys::file_limit::MIN_NEWCOMERS;
use crate::sys::fork::mark_new;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::kept::leave::leave_at_the_end;
use crate::worker::reactor::idle::IdleConnections;
use crate::worker::reactor::unplaced::Caretaker;
use crate::worker::request::partial_request::PartialRequest;
use crate::worker::response::pending::PendingResponse;
use crate::worker::stop::Ending;
use crate::worker::timeouts::monitor;

/// Where slots leave connections that have to wait.
#[derive(Debug)]
pub(crate) struct Reactor {
    handoffs: mpsc::Sender<Handoff>,
    /// How many there may be of each kind.
    capacity: usize,
    /// One for each request on its way in, and for each response on its way out: what
    /// bounds the memory. Apart, so that stalled requests cannot keep responses in slots.
    requests: Arc<Semaphore>,
    responses: Arc<Semaphore>,
    /// Apart too: who sends nothing is not to keep out those who do.
    idle: IdleConnections,
    /// One for each connection that is to be looked after for its first bytes, and has not
    /// been taken in yet.
    newcomers: Arc<Semaphore>,
}

/// The receiving end of a [`Reactor`].
#[derive(Debug)]
pub(crate) struct Handoffs(mpsc::Receiver<Handoff>);

#[derive(Debug)]
enum Handoff {
    Request(PartialRequest, OwnedSemaphorePermit),
    Idle(Arc<Connection>, OwnedSemaphorePermit),
    Response(Box<PendingResponse>, OwnedSemaphorePermit),
    /// This slot takes no more connections.
    SlotDrained(usize),
    /// The slots have ended; the answer goes out when the last response has.
    SlotsEnded(oneshot::Sender<()>),
}

impl Reactor {
    /// Makes the two ends; at most `wanted` connections wait in each direction, and as many
    /// for their first bytes; of each kind no more than `most`, which descriptors are left for.
    pub(crate) fn new(wanted: usize, most: usize, slots: usize) -> (Self, Handoffs) {
        let capacity = wanted.min(most);
        let newcomers = capacity.max(MIN_NEWCOMERS as usize).min(most);
        // Room for every connection with a permit, for each slot's last word, which may be
        // said for it too, and for the last words of all: a send never finds it full.
        let (sender, receiver) = mpsc::channel(2 * (capacity + slots + 1) + newcomers);
        let reactor = Self {
            handoffs: sender,
            capacity,
            requests: Arc::new(Semaphore::new(capacity)),
            responses: Arc::new(Semaphore::new(capacity)),
            idle: IdleConnections::new(capacity),
            newcomers: Arc::new(Semaphore::new(newcomers)),
        };
        (reactor, Handoffs(receiver))
    }

    /// Whether a slot is to wait a moment for the first bytes of a connection: not where many
    /// send nothing, unless the reactor cannot keep up with those.
    pub(crate) fn is_worth_a_wait(&self) -> bool {
        self.idle.are_few() || self.newcomers.available_permits() == 0
    }

    /// The connections that have sent nothing.
    pub(crate) fn idle(&self) -> &IdleConnections {
        &self.idle
    }

    /// Permission to wait for the rest of a request, if there is room for it.
    pub(crate) fn request_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// Whether more than half of those that there may be have such a permit.
    pub(crate) fn is_short(&self, permit: &OwnedSemaphorePermit) -> bool {
        2 * permit.semaphore().available_permits() < self.capacity
    }

    /// Leaves a connection that has sent nothing to be waited for. If as many are as may, the
    /// oldest makes room.
    ///
    /// # Errors
    ///
    /// The connection comes back when they come faster than the reactor can take them in.
    pub(crate) fn await_first_bytes(
        &self,
        connection: Arc<Connection>,
    ) -> Result<(), Arc<Connection>> {
        let Ok(permit) = Arc::clone(&self.newcomers).try_acquire_owned() else {
            return Err(connection);
        };
        self.hand_over(Handoff::Idle(connection, permit));
        Ok(())
    }

    /// Leaves an incomplete request to be completed, if there is room for it.
    ///
    /// # Errors
    ///
    /// The request comes back when as many wait as may.
    pub(crate) fn complete(&self, partial: PartialRequest) -> Result<(), PartialRequest> {
        let Some(permit) = self.request_permit() else {
            return Err(partial);
        };
        self.hand_over(Handoff::Request(partial, permit));
        Ok(())
    }

    /// Leaves the end of a response to be sent, if there is room for it.
    ///
    /// # Errors
    ///
    /// The response comes back when as many wait as may.
    pub(crate) fn finish(
        &self,
        response: Box<PendingResponse>,
    ) -> Result<(), Box<PendingResponse>> {
        let Ok(permit) = Arc::clone(&self.responses).try_acquire_owned() else {
            return Err(response);
        };
        self.hand_over(Handoff::Response(response, permit));
        Ok(())
    }

    /// Says that a slot takes no more connections. It may be said twice.
    pub(crate) fn slot_drained(&self, slot: usize) {
        self.hand_over(Handoff::SlotDrained(slot));
    }

    /// Waits until every response has left. To be called when the slots have ended.
    pub(crate) fn wait_for_responses(&self) {
        let _ = self.responses_sent().blocking_recv();
    }

    /// The same for a task.
    pub(crate) async fn all_responses_sent(&self) {
        let _ = self.responses_sent().await;
    }

    fn responses_sent(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.hand_over(Handoff::SlotsEnded(sender));
        receiver
    }

    fn hand_over(&self, handoff: Handoff) {
        // There is room for everything, and the reactor outlives the slots.
        let _ = self.handoffs.try_send(handoff);
    }
}

/// Starts the reactor's thread. `companion` makes a task that runs beside it, for what else
/// has to wait without holding a slot.
///
/// # Errors
///
/// Those of `companion`, and those of the system, when it has no descriptors or threads to
/// give.
pub(crate) fn start<F>(
    shared: Arc<Shared>,
    handoffs: Handoffs,
    slots: usize,
    companion: impl FnOnce() -> io::Result<F>,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let open = || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let companion = {
            let _context = runtime.enter();
            companion()?
        };
        io::Result::Ok((runtime, companion))
    };
    let (runtime, companion) = mark_new(|| watch_opened(NAME, open))??;
    std::thread::Builder::new()
        .name("scoter-reactor".to_owned())
        .spawn(move || {
            // A panic comes from the runtime itself, where its epoll instance is gone.
            let _ended = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async move {
                    fatal::never_ending("orders", companion);
                    fatal::never_ending("monitor", monitor::run(Arc::clone(&shared)));
                    if let Some(queue_timeout) = shared.admission.queue_timeout() {
                        let late = late::run(Arc::clone(&shared), queue_timeout);
                        fatal::never_ending("late requests", late);
                    }
                    run(shared, handoffs, slots).await;
                });
            }));
            fatal::end_of_thread(NAME);
        })?;
    Ok(())
}

async fn run(shared: Arc<Shared>, Handoffs(mut handoffs): Handoffs, slots: usize) {
    let requests = TaskTracker::new();
    // Among the requests, for there may be one on a connection that is to be closed.
    requests.spawn(leave_at_the_end(Arc::clone(&shared)));
    let responses = TaskTracker::new();
    let caretaker = Caretaker::new(Arc::clone(&shared), requests.clone());
    fatal::never_ending("unplaced", caretaker.clone().run());
    let mut drained = vec![false; slots];
    while let Some(handoff) = handoffs.recv().await {
        match handoff {
            Handoff::Request(partial, permit) => {
                let shared = Arc::clone(&shared);
                let responses = responses.clone();
                requests.spawn(async move {
                    if let Some((refused, permit)) = partial.complete(&shared, permit).await {
                        responses.spawn(refused.finish(shared, permit));
                    }
                });
            }
            Handoff::Idle(connection, newcomer) => {
                drop(newcomer);
                let Some(place) = idle::enter(&shared) else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                let responses = responses.clone();
                requests.spawn(async move {
                    if let Some((refused, permit)) =
                        idle::await_request(connection, place, &shared).await
                    {
                        responses.spawn(refused.finish(shared, permit));
                    }
                });
            }
            Handoff::Response(response, permit) => {
                responses.spawn(response.finish(Arc::clone(&shared), permit));
            }
            Handoff::SlotDrained(slot) => {
                let before = std::mem::replace(&mut drained[slot], true);
                if !before && drained.iter().all(|&drained| drained) {
                    if shared.stop.ending() == Some(Ending::Drain) {
                        shared.listeners.iter().for_each(Listener::close);
                    }
                    requests.close();
                    let (requests, shared) = (requests.clone(), Arc::clone(&shared));
                    tokio::spawn(async move {
                        requests.wait().await;
                        shared.ready.close();
                    });
                }
            }
            Handoff::SlotsEnded(answer) => {
                // A request that comes as the slots end is refused, which is a response.
                requests.close();
                responses.close();
                let (requests, responses) = (requests.clone(), responses.clone());
                let (shared, caretaker) = (Arc::clone(&shared), caretaker.clone());
                tokio::spawn(async move {
                    requests.wait().await;
                    responses.wait().await;
                    // No response leaves a connection to be kept any more.
                    caretaker.take_all();
                    requests.wait().await;
                    responses.wait().await;
                    if let Some(not_taken) = shared.kept.take_not_taken() {
                        say(move || not_taken.log()).await;
                    }
                    let _ = answer.send(());
                });
            }
        }
    }
}

/// What it is called where it is lost.
const NAME: &str = "reactor";
