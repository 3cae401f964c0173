//! The reactor: one thread that waits on behalf of the slots.
//!
//! Half a packet, a body on its way, a response whose reader is slow, input that nobody
//! read: none of them holds a slot. Python never runs here.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::Shared;
use super::arrival::Arrival;
use super::departure::Departure;
use super::stop::Ending;
use super::watch;
use crate::listen::Listener;

/// Where slots leave connections that have to wait.
#[derive(Debug)]
pub(crate) struct Reactor {
    handoffs: mpsc::Sender<Handoff>,
    /// One for each request on its way in, and for each response on its way out: what
    /// bounds the memory. Apart, so that stalled requests cannot keep responses in slots.
    arrivals: Arc<Semaphore>,
    departures: Arc<Semaphore>,
}

/// The receiving end of a [`Reactor`].
#[derive(Debug)]
pub(crate) struct Handoffs(mpsc::Receiver<Handoff>);

#[derive(Debug)]
enum Handoff {
    Arrival(Arrival, OwnedSemaphorePermit),
    Departure(Box<Departure>, OwnedSemaphorePermit),
    /// This slot takes no more connections.
    SlotDrained(usize),
    /// The slots have ended; the answer goes out when the last departure has.
    SlotsEnded(blocking::Sender<()>),
}

impl Reactor {
    /// Makes the two ends; at most `capacity` connections wait in each direction.
    pub(crate) fn new(capacity: usize, slots: usize) -> (Self, Handoffs) {
        // Room for every connection with a permit, for each slot's last word, which may be
        // said for it too, and for the last words of all: a send never finds it full.
        let (sender, receiver) = mpsc::channel(2 * (capacity + slots + 1));
        let reactor = Self {
            handoffs: sender,
            arrivals: Arc::new(Semaphore::new(capacity)),
            departures: Arc::new(Semaphore::new(capacity)),
        };
        (reactor, Handoffs(receiver))
    }

    /// Whether another incomplete request would be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.arrivals.available_permits() > 0
    }

    /// Leaves an incomplete request to be completed, if there is room for it.
    ///
    /// # Errors
    ///
    /// The request comes back when as many wait as may.
    pub(crate) fn complete(&self, arrival: Arrival) -> Result<(), Arrival> {
        let Ok(permit) = Arc::clone(&self.arrivals).try_acquire_owned() else {
            return Err(arrival);
        };
        self.hand_over(Handoff::Arrival(arrival, permit));
        Ok(())
    }

    /// Leaves the end of a response to be sent, if there is room for it.
    ///
    /// # Errors
    ///
    /// The response comes back when as many wait as may.
    pub(crate) fn finish(&self, departure: Box<Departure>) -> Result<(), Box<Departure>> {
        let Ok(permit) = Arc::clone(&self.departures).try_acquire_owned() else {
            return Err(departure);
        };
        self.hand_over(Handoff::Departure(departure, permit));
        Ok(())
    }

    /// Says that a slot takes no more connections. It may be said twice.
    pub(crate) fn slot_drained(&self, slot: usize) {
        self.hand_over(Handoff::SlotDrained(slot));
    }

    /// Waits until every response has left. To be called when the slots have ended.
    pub(crate) fn wait_for_departures(&self) {
        let (sender, receiver) = blocking::channel();
        self.hand_over(Handoff::SlotsEnded(sender));
        let _ = receiver.recv();
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
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("scoter-file")
        .max_blocking_threads(FILE_THREADS)
        .build()?;
    let companion = {
        let _context = runtime.enter();
        companion()?
    };
    std::thread::Builder::new()
        .name("scoter-reactor".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(companion);
                tokio::spawn(watch::keep(Arc::clone(&shared)));
                run(shared, handoffs, slots).await;
            });
        })?;
    Ok(())
}

async fn run(shared: Arc<Shared>, Handoffs(mut handoffs): Handoffs, slots: usize) {
    let arrivals = TaskTracker::new();
    let departures = TaskTracker::new();
    let mut drained = vec![false; slots];
    while let Some(handoff) = handoffs.recv().await {
        match handoff {
            Handoff::Arrival(arrival, permit) => {
                let shared = Arc::clone(&shared);
                let departures = departures.clone();
                arrivals.spawn(async move {
                    if let Some((refused, permit)) = arrival.complete(&shared, permit).await {
                        departures.spawn(refused.finish(shared, permit));
                    }
                });
            }
            Handoff::Departure(departure, permit) => {
                departures.spawn(departure.finish(Arc::clone(&shared), permit));
            }
            Handoff::SlotDrained(slot) => {
                let before = std::mem::replace(&mut drained[slot], true);
                if !before && drained.iter().all(|&drained| drained) {
                    if shared.stop.ending() == Some(Ending::Drain) {
                        shared.listeners.iter().for_each(Listener::close);
                    }
                    arrivals.close();
                    let (arrivals, shared) = (arrivals.clone(), Arc::clone(&shared));
                    tokio::spawn(async move {
                        arrivals.wait().await;
                        shared.ready.close();
                    });
                }
            }
            Handoff::SlotsEnded(answer) => {
                departures.close();
                let departures = departures.clone();
                tokio::spawn(async move {
                    departures.wait().await;
                    let _ = answer.send(());
                });
            }
        }
    }
}

/// Threads that may wait for a disk, or for standard error, at the same time. None of them
/// waits for a peer that does not keep up.
const FILE_THREADS: usize = 128;
