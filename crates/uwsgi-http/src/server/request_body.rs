use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a request, as it arrives.
///
/// Nothing is read from the connection unless the service asks for more, except for at
/// most 64 KiB that came together with the packet. What the service drops is received
/// and discarded. The size hint is exact: uwsgi has no bodies of unknown length.
///
/// The body may be moved to another task. It ends with [`BodyError::Ended`] there once
/// the response has been sent.
#[derive(Debug, Default)]
pub struct RequestBody {
    /// What arrived together with the packet.
    first: Bytes,
    /// How much has not been yielded.
    left: u64,
    /// Where the rest comes from.
    rest: Option<Arc<Shared>>,
}

/// Why a request's body is not complete.
///
/// The message does not include that of an inner error, which is its
/// [source](std::error::Error::source): print both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer closed its direction before: the client has left during an upload, or
    /// `CONTENT_LENGTH` is more than the front end sends.
    #[error("the body ended after {have} of {need} bytes")]
    Incomplete {
        /// Bytes received.
        have: u64,
        /// Bytes announced.
        need: u64,
    },
    /// Nothing more arrived within
    /// [`with_body_timeout`](super::Server::with_body_timeout). Answer 408;
    /// [Bodies that stop](crate::server#bodies-that-stop) says how axum does.
    ///
    /// If there is not a byte of it, the front end may have announced a body that it
    /// does not send: nginx does in a subrequest of `auth_request`. There the location
    /// needs `uwsgi_param CONTENT_LENGTH "";`.
    #[error("the body stopped after {have} of {need} bytes, and nothing came for {timeout:?}")]
    TimedOut {
        /// Bytes received.
        have: u64,
        /// Bytes announced.
        need: u64,
        /// The time.
        timeout: Duration,
    },
    /// The connection failed.
    #[error("the body was lost after {have} of {need} bytes")]
    Io {
        /// Bytes received.
        have: u64,
        /// Bytes announced.
        need: u64,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The request is over: its response has been sent, or its connection has ended.
    #[error("the request had ended before its body was read")]
    Ended,
}

impl RequestBody {
    /// Makes a body of `length` bytes, and the feed for what has not arrived yet, if any.
    pub(super) fn new(first: Bytes, length: u64) -> (Self, Option<Feed>) {
        let arrived = first.len() as u64;
        let shared = (arrived < length).then(Arc::<Shared>::default);
        let feed = shared.as_ref().map(|shared| Feed {
            shared: Arc::clone(shared),
            arrived,
            length,
        });
        let body = Self {
            first,
            left: length,
            rest: shared,
        };
        (body, feed)
    }

    fn yielding(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.left -= data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return self.yielding(first);
        }
        let Some(shared) = self.rest.as_ref().filter(|_| self.left > 0) else {
            return Poll::Ready(None);
        };
        let mut state = shared.lock();
        if let Some(piece) = state.piece.take() {
            drop(state);
            return self.yielding(piece);
        }
        if let Some(error) = state.error.take() {
            drop(state);
            self.rest = None;
            return Poll::Ready(Some(Err(error)));
        }
        state.is_wanted = true;
        state.reader = Some(cx.waker().clone());
        let connection = state.connection.take();
        drop(state);
        if let Some(waker) = connection {
            waker.wake();
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(shared) = &self.rest else { return };
        let mut state = shared.lock();
        state.is_dropped = true;
        state.piece = None;
        if let Some(waker) = state.connection.take() {
            drop(state);
            waker.wake();
        }
    }
}

/// The connection's end of a [`RequestBody`] that has not arrived yet.
#[derive(Debug)]
pub(super) struct Feed {
    shared: Arc<Shared>,
    arrived: u64,
    length: u64,
}

/// What the service does with the rest of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// It waits for more.
    Wanted,
    /// It does something else.
    Unwanted,
    /// It has dropped the body.
    Dropped,
}

impl Feed {
    /// Returns the demand, and sees to it that the task is woken when it changes.
    pub(super) fn demand(&self, cx: &mut Context<'_>) -> Demand {
        let mut state = self.shared.lock();
        if state.is_dropped {
            return Demand::Dropped;
        }
        if state.is_wanted && state.piece.is_none() {
            return Demand::Wanted;
        }
        state.connection = Some(cx.waker().clone());
        Demand::Unwanted
    }

    /// Returns how many bytes have not arrived.
    pub(super) fn left(&self) -> u64 {
        self.length - self.arrived
    }

    /// Passes on a piece that has arrived, which is not longer than what is left.
    pub(super) fn deliver(&mut self, piece: Bytes) {
        self.arrived += piece.len() as u64;
        self.shared.tell(|state| {
            if !state.is_dropped {
                state.is_wanted = false;
                state.piece = Some(piece);
            }
        });
    }

    /// Says that the peer will send no more.
    pub(super) fn end(&self) {
        self.fail(BodyError::Incomplete {
            have: self.arrived,
            need: self.length,
        });
    }

    /// Says that nothing came for that long.
    pub(super) fn time_out(&self, timeout: Duration) {
        self.fail(BodyError::TimedOut {
            have: self.arrived,
            need: self.length,
            timeout,
        });
    }

    /// Says that the connection failed.
    pub(super) fn lose(&self, error: io::Error) {
        self.fail(BodyError::Io {
            have: self.arrived,
            need: self.length,
            error,
        });
    }

    fn fail(&self, error: BodyError) {
        self.shared.tell(|state| {
            state.error.get_or_insert(error);
        });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if self.left() > 0 {
            self.fail(BodyError::Ended);
        }
    }
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

/// At most one piece is between the connection and the service.
#[derive(Debug, Default)]
struct State {
    piece: Option<Bytes>,
    error: Option<BodyError>,
    is_wanted: bool,
    is_dropped: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the reader.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(waker) = reader {
            waker.wake();
        }
    }
}
