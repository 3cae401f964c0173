use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep};

use super::stream::Stream;

/// Which connections a [`Client`](super::Client) keeps for further requests.
///
/// Only for a server that knows `KEEPALIVE.md`, such as scoter with `--keep-alive`. One
/// that does not agree closes its connections as ever.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use uwsgi_http::client::KeptConnections;
///
/// let kept = KeptConnections::new().with_max_idle(8);
/// assert_eq!(kept.idle_timeout, Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeptConnections {
    /// Maximum connections that wait for the next request; more are closed. There is no
    /// bound to those with a request under way. Default: 32.
    pub max_idle: usize,
    /// How long a connection waits for the next request until it is closed. It should
    /// be shorter than the server's limit, scoter's `--keep-alive-timeout`, so that a
    /// request does not meet a server that is just closing. Default: 60 seconds, as
    /// nginx's `keepalive_timeout`.
    pub idle_timeout: Duration,
}

impl KeptConnections {
    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_idle: 32,
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// Sets the maximum of connections that wait.
    #[must_use]
    pub const fn with_max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Sets how long a connection waits.
    #[must_use]
    pub const fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }
}

impl Default for KeptConnections {
    fn default() -> Self {
        Self::new()
    }
}

/// Connections that wait for the next request.
#[derive(Debug)]
pub(super) struct Pool {
    settings: KeptConnections,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    // The one that has waited longest first.
    connections: Vec<(Stream, Instant)>,
    // Closes connections whose time is over or on which something comes, as long as
    // there are any.
    closer: Option<JoinHandle<()>>,
    // Tells the closer of a new connection.
    waker: Option<Waker>,
}

impl Pool {
    pub(super) fn new(settings: KeptConnections) -> Self {
        Self {
            settings,
            waiting: Mutex::default(),
        }
    }

    /// Takes the connection that has waited the shortest. One on which something came,
    /// or that has ended, is closed instead.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut waiting = self.lock();
        while let Some((stream, since)) = waiting.connections.pop() {
            if since.elapsed() < self.settings.idle_timeout && stream.is_idle() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection, or closes it if there is no room or no runtime.
    pub(super) fn put(self: &Arc<Self>, stream: Stream) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut waiting = self.lock();
        if waiting.connections.len() >= self.settings.max_idle {
            return;
        }
        waiting.connections.push((stream, Instant::now()));
        // Its runtime may have ended while there were connections.
        if waiting.closer.as_ref().is_none_or(JoinHandle::is_finished) {
            let closer = Closer {
                pool: Arc::downgrade(self),
                sleep: Box::pin(sleep(self.settings.idle_timeout)),
            };
            waiting.closer = Some(runtime.spawn(closer));
        } else if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    /// Closes what has waited too long, and that on which something has come. Ready when
    /// nothing is left, and the closer ends.
    fn poll_close(&self, sleep: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        let limit = self.settings.idle_timeout;
        loop {
            waiting.connections.retain(|(stream, since)| {
                since.elapsed() < limit && stream.poll_disturbed(cx).is_pending()
            });
            let Some((_, since)) = waiting.connections.first() else {
                waiting.closer = None;
                return Poll::Ready(());
            };
            // A limit beyond the clock's end is none.
            if let Some(end) = since.checked_add(limit) {
                if sleep.deadline() != end {
                    sleep.as_mut().reset(end);
                }
            }
            if sleep.as_mut().poll(cx).is_pending() {
                waiting.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here leaves it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let closer = self.lock().closer.take();
        if let Some(closer) = closer {
            closer.abort();
        }
    }
}

/// The task that closes connections.
struct Closer {
    pool: Weak<Pool>,
    sleep: Pin<Box<Sleep>>,
}

impl Future for Closer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.pool.upgrade() {
            Some(pool) => pool.poll_close(&mut self.sleep, cx),
            None => Poll::Ready(()),
        }
    }
}
