use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use super::error::{ClientError, Wait};
use super::sending::{Progress, Sending};
use super::stream::Stream;
use super::timeouts::Timeouts;
use super::timer::Timer;

/// A connection with a request on it: sends what is left of that whenever it is asked
/// for a part of the reply.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: Stream,
    pub(super) sending: Sending,
    /// What has come and is not used yet.
    pub(super) received: BytesMut,
    timer: Timer,
    timeouts: Timeouts,
}

impl Wire {
    pub(super) fn new(stream: Stream, sending: Sending, timeouts: Timeouts) -> Self {
        Self {
            stream,
            sending,
            received: BytesMut::new(),
            timer: Timer::default(),
            timeouts,
        }
    }

    /// Receives about `room` bytes, and returns what the read has returned.
    ///
    /// `wait` is [`Wait::Head`], or, once the head has come, [`Wait::Read`], whose time
    /// ends with each read. From then on nothing but the server can end the reply: if the
    /// request cannot be sent to its end, then it is not.
    ///
    /// # Errors
    ///
    /// Those that end the exchange: the request's body gave an error before the head has
    /// come, or the time is over.
    pub(super) fn poll_read(
        &mut self,
        wait: Wait,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<io::Result<usize>, ClientError>> {
        self.received.reserve(room);
        let read = pin!(self.stream.read_buf(&mut self.received)).poll(cx);
        if let Poll::Ready(Ok(0) | Err(_)) = read {
            return read.map(Ok);
        }
        let (progress, has_sent) = self.sending.poll(&mut self.stream, cx);
        if has_sent {
            self.timer.stop();
        }
        if let Poll::Ready(read) = read {
            if wait == Wait::Read {
                self.timer.stop();
            }
            return Poll::Ready(Ok(read));
        }
        let (wait, limit) = match (progress, wait) {
            // Neither is anything to be expected of the server.
            (Progress::AwaitsBody, _) => {
                self.timer.stop();
                return Poll::Pending;
            }
            (Progress::Failed, Wait::Head) if self.stream.is_idle() => {
                let failure = self.sending.take_failure();
                return failure.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
            }
            (Progress::AwaitsServer, Wait::Head) => (Wait::Write, self.timeouts.write),
            // After a failure: something has come, of which tokio is about to tell.
            (_, Wait::Head) => (wait, self.timeouts.head),
            _ => (wait, self.timeouts.read),
        };
        self.timer.poll(wait, limit, cx).map(Err)
    }
}
