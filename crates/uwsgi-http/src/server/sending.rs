use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::buf::Take;
use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use uwsgi_codec::http::BodyEnd;

use super::BoxError;
use super::reply::Persistence;
use super::wire::{InputEvent, Wire};

/// A response on its way.
#[derive(Debug)]
pub(super) struct Sending<D> {
    head: Bytes,
    head_len: usize,
    data: Option<Take<D>>,
    /// Bytes of the body that have not been taken; `None` if only the close ends it.
    left: Option<u64>,
    persistence: Persistence,
    is_body_over: bool,
    is_longer: bool,
}

/// What became of a response.
#[derive(Debug)]
pub(super) enum Sent {
    /// All of it has left.
    Whole,
    /// The body has ended with so many bytes missing.
    Short { missing: u64 },
    /// The body has failed.
    Failed(BoxError),
    /// The body has panicked.
    Panicked(String),
    /// The connection has failed, or takes nothing.
    Lost(io::Error),
    /// The peer has left.
    Gone,
}

impl<D: Buf> Sending<D> {
    pub(super) fn new(head: Bytes, body_end: BodyEnd, persistence: Persistence) -> Self {
        Self {
            head_len: head.len(),
            head,
            data: None,
            left: match body_end {
                BodyEnd::Length(length) => Some(length),
                BodyEnd::None | BodyEnd::Tunnel => Some(0),
                BodyEnd::Close => None,
            },
            persistence,
            is_body_over: false,
            is_longer: false,
        }
    }

    /// Sends the response, each piece as soon as there is one and not before the last
    /// one has left.
    pub(super) fn poll<B, I>(
        &mut self,
        mut body: Pin<&mut B>,
        wire: &mut Wire<I>,
        cx: &mut Context<'_>,
    ) -> Poll<Sent>
    where
        B: Body<Data = D>,
        B::Error: Into<BoxError>,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        loop {
            let mut is_waiting = false;
            if self.data.is_none() && self.left != Some(0) && !self.is_body_over {
                match self.poll_body(body.as_mut(), cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(sent)) => return Poll::Ready(sent),
                    Poll::Pending => is_waiting = true,
                }
            }
            if !is_waiting || !self.head.is_empty() {
                if self.persistence == Persistence::Keep && !wire.poll_is_quiet(cx) {
                    self.persistence = Persistence::Close;
                }
                match self.poll_send(wire, cx) {
                    Poll::Ready(Ok(())) if self.is_whole() => return Poll::Ready(Sent::Whole),
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Sent::Lost(error)),
                    Poll::Pending => {}
                }
            }
            match ready!(wire.poll_input(cx)) {
                InputEvent::Delivered => {}
                InputEvent::Gone => return Poll::Ready(Sent::Gone),
            }
        }
    }

    /// Looks whether a body whose length has been sent has ended, too, without waiting
    /// for it.
    pub(super) fn look_behind<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>)
    where
        B: Body<Data = D>,
        B::Error: Into<BoxError>,
    {
        if !self.is_body_over && !self.is_longer {
            let _ = self.poll_body(body, cx);
        }
    }

    /// Returns whether the body had more bytes than its `Content-Length`. They have not
    /// been sent.
    pub(super) fn is_longer(&self) -> bool {
        self.is_longer
    }

    /// Returns whether nothing has been sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.head.len() == self.head_len
    }

    /// Returns whether the next request may come on the connection.
    pub(super) fn persistence(&self) -> Persistence {
        self.persistence
    }

    fn is_whole(&self) -> bool {
        self.head.is_empty() && self.data.is_none() && (self.is_body_over || self.left == Some(0))
    }

    fn poll_body<B>(&mut self, body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<(), Sent>>
    where
        B: Body<Data = D>,
        B::Error: Into<BoxError>,
    {
        let frame = match caught(|| body.poll_frame(cx)) {
            Ok(frame) => ready!(frame),
            Err(panic) => return Poll::Ready(Err(Sent::Panicked(panic))),
        };
        let data = match frame {
            // Trailers are left out: nothing behind a uwsgi packet carries them.
            Some(Ok(frame)) => frame.into_data().ok().filter(Buf::has_remaining),
            Some(Err(error)) => return Poll::Ready(Err(Sent::Failed(error.into()))),
            None => {
                self.is_body_over = true;
                return Poll::Ready(match self.left {
                    Some(missing @ 1..) => Err(Sent::Short { missing }),
                    _ => Ok(()),
                });
            }
        };
        let Some(data) = data else {
            return Poll::Ready(Ok(()));
        };
        let len = data.remaining();
        let taken = match &mut self.left {
            Some(left) => {
                let taken = usize::try_from(*left).map_or(len, |left| left.min(len));
                *left -= taken as u64;
                taken
            }
            None => len,
        };
        self.is_longer |= taken < len;
        self.data = (taken > 0).then(|| data.take(taken));
        Poll::Ready(Ok(()))
    }

    fn poll_send<I>(&mut self, wire: &mut Wire<I>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match &mut self.data {
            Some(data) => ready!(wire.poll_send(&mut self.head, data, cx))?,
            None if self.head.is_empty() => {}
            None => ready!(wire.poll_send(&mut self.head, &mut Bytes::new(), cx))?,
        }
        self.data = None;
        Poll::Ready(Ok(()))
    }
}

/// Calls what the application has written. Returns the message of a panic.
///
/// # Errors
///
/// The message.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // What panicked is dropped, and not called again.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}
