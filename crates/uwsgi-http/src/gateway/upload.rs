use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::activity::UnderWay;
use crate::BoxError;

/// The body of a client's request, with a limit to the time between its parts.
#[derive(Debug)]
pub(super) struct Upload {
    // None only while it is dropped.
    body: Option<Incoming>,
    /// Whether the client sends its body, or waits until somebody asks for it.
    is_asked_for: bool,
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    under_way: Arc<UnderWay>,
}

/// The next part of the body did not come in time.
#[derive(Debug)]
pub(super) struct UploadTimeout {
    limit: Duration,
}

impl Upload {
    /// Makes the body of a request with these headers.
    pub(super) fn new(
        body: Incoming,
        headers: &HeaderMap,
        limit: Duration,
        under_way: Arc<UnderWay>,
    ) -> Self {
        Self {
            body: Some(body),
            is_asked_for: !headers.contains_key(EXPECT),
            limit,
            sleep: None,
            under_way,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.is_asked_for = true;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            self.sleep = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(UploadTimeout { limit }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Upload {
    /// Receives what is left, for a while: to close a connection on which a client still
    /// sends is to reset it, and then the client may not get the response to what it has
    /// sent too much of. nginx does the same (`lingering_close`). Not if the client waits
    /// for a 100, which reading would send.
    fn drop(&mut self) {
        let Some(body) = self
            .body
            .take()
            .filter(|body| self.is_asked_for && !body.is_end_stream())
        else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(discard(body, Arc::clone(&self.under_way)));
        }
    }
}

async fn discard(mut body: Incoming, _under_way: Arc<UnderWay>) {
    let end = Instant::now() + LINGERING_TIME;
    while Instant::now() < end {
        let Ok(Some(Ok(_))) = timeout(LINGERING_TIMEOUT, body.frame()).await else {
            return;
        };
    }
}

/// nginx: `lingering_time`.
const LINGERING_TIME: Duration = Duration::from_secs(30);

/// nginx: `lingering_timeout`.
const LINGERING_TIMEOUT: Duration = Duration::from_secs(5);

impl fmt::Display for UploadTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the client has sent nothing for {:?}", self.limit)
    }
}

impl std::error::Error for UploadTimeout {}
