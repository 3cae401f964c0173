use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::activity::Activity;
use crate::client::Stream;

/// A connection to a client that fails if the client receives nothing for some time. It
/// notes what comes, and ends as what happened on it demands.
#[derive(Debug)]
pub(super) struct SendLimit {
    stream: Stream,
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    is_waiting: bool,
    activity: Activity,
}

impl SendLimit {
    pub(super) fn new(stream: Stream, limit: Duration, activity: Activity) -> Self {
        Self {
            stream,
            limit,
            sleep: Box::pin(sleep(limit)),
            is_waiting: false,
            activity,
        }
    }

    fn limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.is_waiting = false;
            return write;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            match Instant::now().checked_add(self.limit) {
                Some(end) => self.sleep.as_mut().reset(end),
                None => self.sleep = Box::pin(sleep(self.limit)),
            }
        }
        ready!(self.sleep.as_mut().poll(cx));
        let error = "the client has received nothing for too long";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)))
    }
}

impl Drop for SendLimit {
    fn drop(&mut self) {
        if self.activity.is_reset() {
            self.stream.reset_at_close();
        }
    }
}

impl AsyncRead for SendLimit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for SendLimit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limited(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limited(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
