//! The thread that logs for tasks, which must not wait for standard error.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;

use crate::sys::pool::Pool;

/// Starts the thread that logs for tasks. It is started in advance, because monitoring must not
/// depend on whether the system can still start a thread.
///
/// # Errors
///
/// Those of starting a thread.
pub(crate) fn start_thread() -> io::Result<()> {
    let _ = THREAD.set(Thread::start()?);
    Ok(())
}

/// Logs from a task, on a thread that may block, and waits only briefly for it. The reactor must
/// not stop because standard error is not read.
pub(crate) async fn say(log: impl FnOnce() + Send + 'static) {
    let (sender, said) = oneshot::channel::<()>();
    say_soon(move || {
        log();
        drop(sender);
    });
    let _ = tokio::time::timeout(LOG_TIMEOUT, said).await;
}

/// Like [`say`], without waiting at all.
pub(crate) fn say_soon(log: impl FnOnce() + Send + 'static) {
    if let Some(thread) = THREAD.get() {
        thread.submit(log);
    }
}

/// Runs work that may wait for a disk on the thread that logs for tasks, however many messages wait.
pub(crate) fn in_background(work: impl FnOnce() + Send + 'static) {
    if let Some(thread) = THREAD.get() {
        thread.pool.submit(work);
    }
}

struct Thread {
    pool: Pool,
    /// Messages that were dropped and have not been reported yet.
    lost: Arc<AtomicU64>,
}

impl Thread {
    fn start() -> io::Result<Self> {
        Ok(Self {
            pool: Pool::start("scoter-log", 1)?,
            lost: Arc::default(),
        })
    }

    fn submit(&self, log: impl FnOnce() + Send + 'static) {
        let lost = Arc::clone(&self.lost);
        let submitted = self.pool.try_submit(MAX_WAITING, move || {
            log();
            // Standard error is being read again.
            let lost = lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                warn!(
                    lost,
                    "messages were lost: standard error is read too slowly"
                );
            }
        });
        if submitted.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

static THREAD: OnceLock<Thread> = OnceLock::new();

/// How long a task waits for its line to be written.
const LOG_TIMEOUT: Duration = Duration::from_millis(200);

/// Messages that may wait; each is usually a few hundred bytes. If standard error is not read at
/// all, writes are given up before this many wait; if it is read slowly, they never are.
const MAX_WAITING: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn messages_beyond_the_bound_are_counted_and_reported_once() {
        let thread = Thread::start().unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        thread.submit(move || {
            begun.send(()).unwrap();
            let _ = opened.recv();
        });
        has_begun.recv().unwrap();
        let (sender, said) = mpsc::channel();
        for number in 0..MAX_WAITING + 3 {
            let sender = sender.clone();
            thread.submit(move || sender.send(number).unwrap());
        }
        assert_eq!(thread.lost.load(Ordering::Relaxed), 3);
        drop(gate);
        let last = sender.clone();
        assert!(said.iter().take(MAX_WAITING).eq(0..MAX_WAITING));
        thread.submit(move || last.send(MAX_WAITING).unwrap());
        drop(sender);
        assert!(said.iter().eq([MAX_WAITING]));
        assert_eq!(thread.lost.load(Ordering::Relaxed), 0);
    }
}
