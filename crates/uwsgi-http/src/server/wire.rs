use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::deadline::Deadline;
use super::request_body::{Demand, Feed};
use super::settings::{HalfClose, Settings};
use super::socket::{Peek, Socket};

/// The bytes of a connection, in both directions.
#[derive(Debug)]
pub(super) struct Wire<I> {
    pub(super) socket: Socket<I>,
    /// What has arrived and belongs to nothing yet.
    pub(super) received: BytesMut,
    input: Input,
    has_surplus: bool,
    body_timeout: Duration,
    body_deadline: Deadline,
    write_timeout: Duration,
    write_deadline: Deadline,
    half_close: HalfClose,
}

/// What is to come from the peer while a request is served.
#[derive(Debug)]
enum Input {
    /// The rest of a body.
    Body(Feed),
    /// Nothing: the request is complete.
    Complete,
    /// Nothing that anybody wants: bytes behind the request, or a body that has been
    /// given up.
    Unread,
    /// Nothing: the peer has ended its direction. The flag says whether the request is
    /// complete.
    Ended { complete: bool },
    /// Nothing: the connection has failed.
    Failed,
}

/// Something about the input that changes how the request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputEvent {
    /// The body has got something, data or an error.
    Delivered,
    /// The peer has left: nobody waits for the response.
    Gone,
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Wire<I> {
    pub(super) fn new(io: I, settings: &Settings) -> Self {
        Self {
            socket: Socket::new(io),
            received: BytesMut::new(),
            input: Input::Complete,
            has_surplus: false,
            body_timeout: settings.body_timeout,
            body_deadline: Deadline::default(),
            write_timeout: settings.write_timeout,
            write_deadline: Deadline::default(),
            half_close: settings.half_close,
        }
    }

    /// Reads once, and appends what comes to what has been received.
    pub(super) fn poll_receive(
        &mut self,
        capacity: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.received.reserve(capacity);
        pin!(self.socket.io.read_buf(&mut self.received)).poll(cx)
    }

    /// Begins a request of which the given rest has not arrived.
    pub(super) fn begin(&mut self, feed: Option<Feed>) {
        self.body_deadline.stop();
        self.has_surplus = false;
        self.input = match feed {
            Some(feed) => Input::Body(feed),
            None if self.received.is_empty() => Input::Complete,
            None => Input::Unread,
        };
    }

    /// Returns whether the request has arrived to its last byte, and nothing behind it.
    pub(super) fn has_exactly_arrived(&self) -> bool {
        matches!(self.input, Input::Complete)
    }

    /// Returns whether bytes have arrived behind the request.
    pub(super) fn has_surplus(&self) -> bool {
        self.has_surplus || !self.received.is_empty()
    }

    /// Looks at the connection once more: whether nothing has arrived behind the request.
    pub(super) fn poll_is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.has_exactly_arrived() {
            return false;
        }
        match self.socket.peek() {
            Peek::Quiet => true,
            Peek::Bytes => {
                self.input = Input::Unread;
                self.has_surplus = true;
                false
            }
            Peek::Ended => false,
            Peek::Unknown => self.poll_input(cx).is_pending() && self.has_exactly_arrived(),
        }
    }

    /// Takes what has arrived of a body that the service has dropped, without waiting,
    /// up to a bound.
    pub(super) fn discard_what_has_arrived(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MAX_DISCARDS_AT_ONCE {
            let Input::Body(feed) = &self.input else {
                return;
            };
            if feed.demand(cx) != Demand::Dropped || self.poll_discard(cx).is_pending() {
                return;
            }
        }
    }

    /// Gives up what has not arrived of a request: its body ends with an error.
    pub(super) fn give_up(&mut self) {
        if let Input::Body(_) = self.input {
            self.input = Input::Unread;
        }
    }

    /// Begins what is no request, so that nobody knows what else is to come.
    pub(super) fn begin_unknown(&mut self) {
        self.input = Input::Unread;
    }

    /// Returns whether closing the connection now leaves nothing unread.
    pub(super) fn is_read(&mut self) -> bool {
        match self.input {
            Input::Complete => matches!(self.socket.peek(), Peek::Quiet | Peek::Unknown),
            Input::Ended { .. } | Input::Failed => true,
            Input::Body(_) | Input::Unread => false,
        }
    }

    /// Receives what the service wants of the body, and notices if the peer leaves.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<InputEvent> {
        loop {
            match &self.input {
                Input::Body(feed) => match feed.demand(cx) {
                    Demand::Wanted => return self.poll_body(cx),
                    Demand::Dropped => ready!(self.poll_discard(cx)),
                    Demand::Unwanted => return self.poll_gone(cx),
                },
                Input::Complete => match ready!(self.poll_receive(1, cx)) {
                    Ok(0) => self.input = Input::Ended { complete: true },
                    Ok(_) => self.input = Input::Unread,
                    Err(_) => self.input = Input::Failed,
                },
                Input::Ended { complete: true } if self.half_close == HalfClose::Drop => {
                    return Poll::Ready(InputEvent::Gone);
                }
                Input::Unread | Input::Ended { .. } => return self.poll_gone(cx),
                Input::Failed => return Poll::Ready(InputEvent::Gone),
            }
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<InputEvent> {
        self.socket.poll_hang_up(cx).map(|()| InputEvent::Gone)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<InputEvent> {
        let received = self.poll_receive(self.capacity(), cx);
        let Input::Body(feed) = &mut self.input else {
            return Poll::Pending;
        };
        let next = match received {
            Poll::Ready(Ok(0)) => {
                feed.end();
                Some(Input::Ended { complete: false })
            }
            Poll::Ready(Ok(_)) => {
                feed.deliver(take(&mut self.received, feed.left()));
                (feed.left() == 0).then(|| match self.received.is_empty() {
                    true => Input::Complete,
                    false => Input::Unread,
                })
            }
            Poll::Ready(Err(error)) => {
                feed.lose(error);
                Some(Input::Failed)
            }
            Poll::Pending => {
                ready!(self.body_deadline.poll(self.body_timeout, cx));
                feed.time_out(self.body_timeout);
                Some(Input::Unread)
            }
        };
        self.body_deadline.stop();
        if let Some(next) = next {
            self.input = next;
        }
        Poll::Ready(InputEvent::Delivered)
    }

    /// Receives some of a body that nobody wants.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = ready!(self.poll_receive(self.capacity(), cx));
        let Input::Body(feed) = &mut self.input else {
            return Poll::Ready(());
        };
        let next = match received {
            Ok(0) => Some(Input::Ended { complete: false }),
            Ok(_) => {
                feed.deliver(take(&mut self.received, feed.left()));
                (feed.left() == 0).then(|| match self.received.is_empty() {
                    true => Input::Complete,
                    false => Input::Unread,
                })
            }
            Err(_) => Some(Input::Failed),
        };
        if let Some(next) = next {
            self.input = next;
        }
        Poll::Ready(())
    }

    /// How much of a body is received at once.
    fn capacity(&self) -> usize {
        match &self.input {
            Input::Body(feed) => usize::try_from(feed.left()).map_or(MAX_PIECE, at_most_a_piece),
            _ => 1,
        }
    }

    /// Ends the server's direction.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket.io).poll_shutdown(cx) {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => {
                ready!(self.write_deadline.poll(self.write_timeout, cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Writes all of a head and of data, and flushes them.
    pub(super) fn poll_send(
        &mut self,
        head: &mut Bytes,
        data: &mut impl Buf,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let io = Pin::new(&mut self.socket.io);
            let sent = match head.has_remaining() || data.has_remaining() {
                true => {
                    let mut parts = [IoSlice::new(&[]); MAX_PARTS];
                    let heads = head.chunks_vectored(&mut parts);
                    let count = heads + data.chunks_vectored(&mut parts[heads..]);
                    io.poll_write_vectored(cx, &parts[..count])
                }
                false => io.poll_flush(cx).map_ok(|()| 0),
            };
            let Poll::Ready(sent) = sent else {
                ready!(self.write_deadline.poll(self.write_timeout, cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            };
            self.write_deadline.stop();
            let sent = sent?;
            if !head.has_remaining() && !data.has_remaining() {
                return Poll::Ready(Ok(()));
            }
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = sent.min(head.remaining());
            head.advance(of_head);
            data.advance(sent - of_head);
        }
    }
}

/// Takes up to `len` bytes from the front.
pub(super) fn take(received: &mut BytesMut, len: u64) -> Bytes {
    let len = usize::try_from(len).map_or(received.len(), |len| len.min(received.len()));
    received.split_to(len).freeze()
}

fn at_most_a_piece(len: usize) -> usize {
    len.clamp(1, MAX_PIECE)
}

/// How much of a body is received at once, at most: what a Unix socket holds by default
/// is 208 KiB.
const MAX_PIECE: usize = 64 * 1_024;

const MAX_DISCARDS_AT_ONCE: usize = 4;

const MAX_PARTS: usize = 16;
