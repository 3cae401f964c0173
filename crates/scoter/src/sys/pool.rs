//! Threads that wait on behalf of tasks, which must not block.
//!
//! tokio starts such threads on demand, and panics if the system has none left, when the
//! application has used up `pids.max` or RLIMIT_NPROC. This pool has one thread from the start.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

/// A pool of threads. There is always one. When all are busy, more are started, up to a limit and
/// if the system allows. They end when idle.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

type Job = Box<dyn FnOnce() + Send>;

/// Too many jobs are waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// How long a thread lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    ForEver,
    WhileBusy,
}

/// A job panicked.
#[derive(Clone, Copy, Debug, Error)]
#[error("a bug in scoter, logged as a panic: please report it")]
pub(crate) struct Panicked;

impl From<Panicked> for io::Error {
    fn from(panicked: Panicked) -> Self {
        Self::other(panicked)
    }
}

impl Pool {
    /// Starts the permanent thread. There will be at most `most` threads.
    ///
    /// # Errors
    ///
    /// Those of starting a thread.
    pub(crate) fn start(name: &'static str, most: usize) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            name,
            most,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        inner.start_thread(Stay::ForEver)?;
        inner.lock().threads += 1;
        Ok(Self(inner))
    }

    /// Runs `work` in a thread, and returns a future for its result. It runs even if the future is
    /// dropped.
    pub(crate) fn run<R, W>(&self, work: W) -> impl Future<Output = Result<R, Panicked>> + use<R, W>
    where
        R: Send + 'static,
        W: FnOnce() -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.submit(move || {
            let _ = sender.send(work());
        });
        async { receiver.await.map_err(|_| Panicked) }
    }

    /// Runs a job in a thread without waiting for it.
    pub(crate) fn submit(&self, work: impl FnOnce() + Send + 'static) {
        // The queue can never be this long.
        let _ = self.try_submit(usize::MAX, work);
    }

    /// Like [`Pool::submit`], unless `most` other jobs are waiting.
    pub(crate) fn try_submit(
        &self,
        most: usize,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Full> {
        let inner = &self.0;
        let mut state = inner.lock();
        if state.jobs.len() >= most {
            return Err(Full);
        }
        state.jobs.push_back(Box::new(work));
        let wants_more = state.jobs.len() > state.idle && state.threads < inner.most;
        if wants_more {
            state.threads += 1;
        }
        drop(state);
        inner.changed.notify_one();
        // If that fails, the existing threads run the job in turn.
        if wants_more && inner.start_thread(Stay::WhileBusy).is_err() {
            inner.lock().threads -= 1;
        }
        Ok(())
    }
}

impl Inner {
    fn start_thread(self: &Arc<Self>, stay: Stay) -> io::Result<()> {
        let inner = Arc::clone(self);
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                while let Some(job) = inner.next(stay) {
                    // The panic hook has logged it.
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                        // Dropping it might panic again and end the thread.
                        mem::forget(payload);
                    }
                }
            })
            .map(drop)
    }

    /// Waits for a job. `None` if the thread is no longer needed.
    fn next(&self, stay: Stay) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let (after, is_over) = self.wait(state, stay);
            state = after;
            state.idle -= 1;
            if is_over && state.jobs.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Waits for a change. Also returns whether the thread's idle time is over.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, stay: Stay) -> (MutexGuard<'a, State>, bool) {
        if stay == Stay::ForEver {
            let state = self.changed.wait(state);
            return (state.unwrap_or_else(PoisonError::into_inner), false);
        }
        let (state, waited) = self
            .changed
            .wait_timeout(state, IDLE_TIME)
            .unwrap_or_else(PoisonError::into_inner);
        (state, waited.timed_out())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How long a thread stays idle before it ends.
const IDLE_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn jobs_of_one_thread_are_done_in_order() {
        let pool = Pool::start("test", 1).unwrap();
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            pool.submit(move || sender.send(number).unwrap());
        }
        drop(sender);
        assert!(receiver.iter().eq(0..100));
    }

    #[test]
    fn blocked_job_does_not_delay_others_below_the_bound() {
        let pool = Pool::start("test", 3).unwrap();
        let (gates, done): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (gate, opened) = mpsc::channel::<()>();
                let (done, is_done) = mpsc::channel();
                pool.submit(move || {
                    let _ = opened.recv();
                    done.send(()).unwrap();
                });
                (gate, is_done)
            })
            .unzip();
        let (sender, receiver) = mpsc::channel();
        pool.submit(move || sender.send("third").unwrap());
        assert_eq!(receiver.recv(), Ok("third"));
        assert!(pool.0.lock().threads <= 3);
        drop(gates);
        assert!(done.iter().all(|is_done| is_done.recv().is_ok()));
    }

    #[test]
    fn job_beyond_the_bound_is_refused_until_there_is_room() {
        let pool = Pool::start("test", 1).unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        pool.submit(move || {
            begun.send(()).unwrap();
            let _ = opened.recv();
        });
        has_begun.recv().unwrap();
        let (sender, receiver) = mpsc::channel();
        let submit = |number| {
            let sender = sender.clone();
            pool.try_submit(2, move || sender.send(number).unwrap())
        };
        let submitted = [1, 2, 3, 4].map(submit);
        assert_eq!(submitted, [Ok(()), Ok(()), Err(Full), Err(Full)]);
        drop(gate);
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(1), Ok(2)]);
        assert_eq!(submit(5), Ok(()));
        assert_eq!(receiver.recv(), Ok(5));
    }

    #[test]
    fn panic_ends_only_its_job() {
        let pool = Pool::start("test", 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let panics = pool.run(|| std::panic::resume_unwind(Box::new("no message needed")));
            assert!(panics.await.is_err());
            assert_eq!(pool.run(|| 1).await.unwrap(), 1);
        });
    }

    #[test]
    fn panic_with_a_payload_that_panics_in_turn_ends_only_its_job() {
        struct Payload;

        impl Drop for Payload {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }

        let pool = Pool::start("test", 1).unwrap();
        pool.submit(|| std::panic::resume_unwind(Box::new(Payload)));
        let (sender, receiver) = mpsc::channel();
        pool.submit(move || sender.send("next").unwrap());
        let next = receiver.recv_timeout(Duration::from_secs(30));
        assert_eq!(next, Ok("next"));
    }
}
