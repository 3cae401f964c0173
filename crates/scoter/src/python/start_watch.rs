//! Logs what a slow start is waiting for: an import that hangs logs nothing itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tracing::{debug, warn};

use crate::ipc::messages::Failed;
use crate::python::request_timeout::PythonThread;
use crate::python::stacks::{AllThreads, LastResort, Place, answer_of};
use crate::python::traceback::traceback;

/// What a start is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// It imports the application.
    Import,
    /// It runs `post_fork` and `on_worker_start`.
    Hooks,
    /// It waits for the answer to `--warm-up`.
    WarmUp,
}

/// A start that has taken longer than `--start-timeout`, and what it was doing.
pub(crate) fn too_late(doing: &str) -> Failed {
    let text = format!("the application was not ready within --start-timeout: {doing}");
    Failed::new(3, &text)
}

/// A thread that watches a start. It has ended when this has been dropped, so that it does not
/// exist at a fork.
#[derive(Debug)]
pub(crate) struct StartWatch {
    step: Arc<AtomicU8>,
    process: u32,
    /// Dropping it ends the watch.
    relief: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StartWatch {
    /// Watches the calling thread. If it has not finished within `timeout`, `give_up` is called
    /// with what it is doing, and where.
    pub(crate) fn post(
        py: Python<'_>,
        timeout: Duration,
        give_up: impl FnOnce(&str) + Send + 'static,
    ) -> Self {
        let last_resort = LastResort::prepare(py).map(Arc::new);
        let last_resort = last_resort.inspect_err(|error| debug!(%error, "no stacks from C code"));
        Self::post_with(py, timeout, last_resort.ok(), give_up)
    }

    /// The same with a [`LastResort`] that others may use as well.
    pub(crate) fn post_with(
        py: Python<'_>,
        timeout: Duration,
        last_resort: Option<Arc<LastResort>>,
        give_up: impl FnOnce(&str) + Send + 'static,
    ) -> Self {
        let step = Arc::new(AtomicU8::new(Step::Import as u8));
        let (relief, relieved) = channel();
        let watcher = Watcher {
            begun: Instant::now(),
            thread: PythonThread::current(py),
            step: Arc::clone(&step),
            last_resort,
            asked: None,
        };
        let thread = std::thread::Builder::new()
            .name("scoter-start".to_owned())
            .spawn(move || watcher.run(timeout, &relieved, give_up));
        // The start continues without it: the system may have no threads left.
        let thread = thread.inspect_err(|error| debug!(%error, "the start is not watched"));
        Self {
            step,
            process: std::process::id(),
            relief: Some(relief),
            thread: thread.ok(),
        }
    }

    /// Records the next step.
    pub(crate) fn enter(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }
}

impl Drop for StartWatch {
    fn drop(&mut self) {
        drop(self.relief.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A child of the application has a copy of this, but not the thread.
        if self.process != std::process::id() {
            return std::mem::forget(thread);
        }
        // It may be waiting to read the stack.
        Python::attach(|py| py.detach(|| drop(thread.join())));
    }
}

/// The state of the watching thread.
struct Watcher {
    begun: Instant,
    thread: PythonThread,
    step: Arc<AtomicU8>,
    last_resort: Option<Arc<LastResort>>,
    /// A thread that is waiting for the interpreter.
    asked: Option<(JoinHandle<()>, Receiver<Seen>)>,
}

/// Where a start is.
#[derive(Clone)]
struct Seen {
    place: Option<Place>,
    stacks: String,
}

/// What to find out about a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Calls,
    /// The source lines, too, for when the start is given up: nothing else waits for them then.
    Sources,
}

impl Watcher {
    fn run(mut self, timeout: Duration, relieved: &Receiver<()>, give_up: impl FnOnce(&str)) {
        let deadline = self.begun + timeout;
        let mut reports = reports(timeout);
        let mut next = reports.next();
        loop {
            let at = next.map_or(deadline, |after| (self.begun + after).min(deadline));
            let left = at.saturating_duration_since(Instant::now());
            if relieved.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            let is_last = at >= deadline;
            let seen = self.look(if is_last {
                Detail::Sources
            } else {
                Detail::Calls
            });
            if is_last {
                let place = seen
                    .place
                    .map_or_else(String::new, |place| format!(", at {place}"));
                give_up(&format!("still {}{place}{}", self.doing(), seen.stacks));
                break;
            }
            self.report(&seen);
            next = reports.next();
        }
        // It gets the interpreter now, and must have ended before a fork.
        if let Some((thread, _)) = self.asked {
            let _ = thread.join();
        }
        // Nobody else has it.
        if let Some(last_resort) = self.last_resort.and_then(Arc::into_inner) {
            let ended = Python::attach(|py| last_resort.end(py));
            ended.unwrap_or_else(|error| debug!(%error, "cannot restore a signal handler"));
        }
    }

    fn doing(&self) -> &'static str {
        const HOOKS: u8 = Step::Hooks as u8;
        const WARM_UP: u8 = Step::WarmUp as u8;
        match self.step.load(Ordering::Relaxed) {
            HOOKS => "running the hooks of the application",
            WARM_UP => "waiting for the response to --warm-up",
            _ => "importing the application",
        }
    }

    fn report(&self, seen: &Seen) {
        let seconds = self.begun.elapsed().as_secs();
        let place = seen.place.as_ref().map(tracing::field::display);
        warn!(seconds, place, "still {}", self.doing());
    }

    /// Finds out where the thread is: with the interpreter, or, if C code does not release the GIL,
    /// without it.
    fn look(&mut self, detail: Detail) -> Seen {
        let (thread, answer) = match self.asked.take() {
            Some(asked) => asked,
            None => match ask(self.thread, detail) {
                Ok(asked) => asked,
                Err(error) => return Seen::nothing(&error),
            },
        };
        match answer_of(&answer) {
            Ok(Some(seen)) if detail == Detail::Sources => {
                // The thread may never end, unlike the process.
                answer.recv_timeout(SOURCES_TIMEOUT).unwrap_or(seen)
            }
            Ok(Some(seen)) => {
                let _ = thread.join();
                seen
            }
            Ok(None) => {
                self.asked = Some((thread, answer));
                self.look_from_outside()
            }
            Err(error) => {
                let _ = thread.join();
                Seen::nothing(&error)
            }
        }
    }

    fn look_from_outside(&self) -> Seen {
        let Some(last_resort) = &self.last_resort else {
            return Seen::nothing(&"C code does not release the interpreter");
        };
        match last_resort.stacks() {
            Ok(stacks) => Seen {
                place: Place::in_dump(&stacks),
                stacks,
            },
            Err(error) => Seen::nothing(&error),
        }
    }
}

impl Seen {
    fn nothing(reason: &dyn fmt::Display) -> Self {
        Self {
            place: None,
            stacks: format!("\nno stack: {reason}"),
        }
    }
}

/// Starts a thread that waits for the interpreter and finds out where `thread` is. It sends the
/// calls first: whoever waits for the sources must not take that for a wait for the interpreter.
fn ask(thread: PythonThread, detail: Detail) -> std::io::Result<(JoinHandle<()>, Receiver<Seen>)> {
    let (sender, receiver) = channel();
    let asking = std::thread::Builder::new()
        .name("scoter-start".to_owned())
        .spawn(move || {
            Python::attach(|py| {
                let place = Place::of(py, thread).ok().flatten();
                let seen = |stacks| Seen { place, stacks };
                let mut read = match AllThreads::read(py, Some(thread), &[]) {
                    Ok(read) => read,
                    Err(error) => {
                        let _ = sender.send(seen(traceback(py, &error)));
                        return;
                    }
                };
                let seen = seen(read.text("start"));
                let _ = sender.send(seen.clone());
                if detail == Detail::Sources {
                    read.add_sources(py);
                    let stacks = read.text("start");
                    let _ = sender.send(Seen { stacks, ..seen });
                }
            });
        })?;
    Ok((asking, receiver))
}

/// The times of the reports, since the start: after [`FIRST`], or sooner if `timeout` is shorter,
/// and then at growing intervals.
fn reports(timeout: Duration) -> impl Iterator<Item = Duration> {
    let first = FIRST.min(timeout / 2);
    std::iter::successors(Some((first, first * 2)), |&(at, pause)| {
        Some((at + pause, pause * 2))
    })
    .map(|(at, _)| at)
    .take_while(move |at| *at < timeout)
}

/// How long reading the source lines may take.
const SOURCES_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a start may take before the first report.
const FIRST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_starts_are_reported_at_growing_intervals() {
        for (timeout, expected) in [
            (120, &[10, 30, 70][..]),
            (3600, &[10, 30, 70, 150, 310, 630, 1270, 2550]),
            (12, &[6]),
            (30, &[10]),
            (31, &[10, 30]),
        ] {
            let seconds: Vec<_> = reports(Duration::from_secs(timeout))
                .map(|at| at.as_secs())
                .collect();
            assert_eq!(seconds, expected, "{timeout}");
        }
    }
}
