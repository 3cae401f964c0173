use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use uwsgi_codec::http::{BodyEnd, ReplyHead};

use super::error::{ClientError, Wait};
use super::pool::Pool;
use super::stream::Stream;
use super::wire::Wire;

/// The body of a reply, received as it is read; meanwhile the rest of the request's body
/// is sent.
///
/// It ends after `Content-Length` bytes, else with the connection. Its data frames are
/// what has come, of at most 64 KiB or so each; there are no trailers. Dropping it
/// before its end closes the connection.
///
/// # Errors
///
/// [`ClientError::CutShort`] and [`ClientError::Timeout`]. Nothing follows an error. An
/// error of the request's body is none of the reply: it ends the sending, see
/// [`ReplyBody::has_sent_request`].
///
/// If the end of the connection is to end the body, a server that crashed may look like
/// one that has finished. A reset is an error there, unless the server has not received the
/// whole request: by closing it then causes the reset itself.
#[derive(Debug)]
pub struct ReplyBody {
    // None behind the end.
    wire: Option<Box<Wire>>,
    /// The length, `None` if the end of the connection ends the body.
    length: Option<u64>,
    received: u64,
    room: usize,
    is_kept: bool,
    pool: Option<Arc<Pool>>,
    kept: Option<Stream>,
    surplus: usize,
    // Once there is no wire.
    has_sent_request: bool,
}

impl ReplyBody {
    pub(super) fn new(wire: Wire, head: &ReplyHead) -> Self {
        let length = match head.body_end() {
            BodyEnd::None => Some(0),
            BodyEnd::Length(length) => Some(length),
            BodyEnd::Close | BodyEnd::Tunnel => None,
        };
        let mut body = Self {
            wire: Some(Box::new(wire)),
            length,
            received: 0,
            room: FIRST_ROOM,
            is_kept: head.keeps_connection(),
            pool: None,
            kept: None,
            surplus: 0,
            has_sent_request: false,
        };
        if length == Some(0) {
            body.finish();
        }
        body
    }

    /// Gives the connection to the pool when the body has ended, if it may be kept.
    pub(super) fn keep_in(&mut self, pool: Arc<Pool>) {
        match self.kept.take() {
            Some(stream) => pool.put(stream),
            None => self.pool = Some(pool),
        }
    }

    /// Returns the connection, if the next request may be sent on it.
    ///
    /// It may behind the end of the body if the server has agreed in the head, the
    /// request was sent to its last byte, and nothing has come behind the reply until
    /// now: [`Stream::is_idle`]. Only for those who have asked
    /// ([`ask_to_keep`](uwsgi_codec::http::ask_to_keep)): other servers say that they keep
    /// the connection, too, and do not mean it.
    #[must_use]
    pub fn into_kept(self) -> Option<Stream> {
        self.kept.filter(Stream::is_idle)
    }

    /// Returns whether the request has been sent to its last byte.
    ///
    /// A server may answer before it has received the whole body of the request, and
    /// close. What is not sent when the reply ends is not sent at all, and a reply of
    /// success may then be to a part of the body: the caller who cares asks this behind
    /// the end. Also false if the request's body gave an error or did not have the
    /// announced length after the head had come.
    #[must_use]
    pub fn has_sent_request(&self) -> bool {
        match &self.wire {
            Some(wire) => wire.sending.is_complete(),
            None => self.has_sent_request,
        }
    }

    /// Returns how many bytes have come together with the end of the body and are not
    /// part of it. They are dropped. 0 before the end.
    #[must_use]
    pub fn surplus(&self) -> usize {
        self.surplus
    }

    /// Returns how many bytes of the body have been read.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Ends the body: keeps the connection or closes it.
    fn finish(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        self.surplus = wire.received.len();
        self.has_sent_request = wire.sending.is_complete();
        if !self.is_kept || self.surplus > 0 || !self.has_sent_request {
            return;
        }
        match &self.pool {
            Some(pool) => pool.put(wire.stream),
            None => self.kept = Some(wire.stream),
        }
    }

    /// Receives the next part, `None` at the end of the connection.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ClientError>> {
        let Some(wire) = &mut self.wire else {
            return Poll::Ready(Ok(None));
        };
        let left = self.length.map(|length| length - self.received);
        if wire.received.is_empty() {
            let room = left.map_or(usize::MAX, |left| {
                usize::try_from(left).unwrap_or(usize::MAX)
            });
            match ready!(wire.poll_read(Wait::Read, self.room.min(room), cx))? {
                Ok(0) if left.is_none() => return Poll::Ready(Ok(None)),
                Ok(0) => return Poll::Ready(Err(self.cut_short(None))),
                Ok(read) if read >= self.room => self.room = (2 * self.room).min(MOST_ROOM),
                Ok(_) => {}
                Err(error) if left.is_none() && !wire.sending.is_complete() && is_reset(&error) => {
                    return Poll::Ready(Ok(None));
                }
                Err(error) => return Poll::Ready(Err(self.cut_short(Some(error)))),
            }
        }
        let here = wire.received.len();
        let len = left.map_or(here, |left| {
            usize::try_from(left).map_or(here, |left| left.min(here))
        });
        self.received += len as u64;
        Poll::Ready(Ok(Some(wire.received.split_to(len).freeze())))
    }

    fn cut_short(&self, error: Option<io::Error>) -> ClientError {
        ClientError::CutShort {
            received: self.received,
            expected: self.length,
            error,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let part = ready!(self.poll_part(cx));
        match &part {
            Ok(Some(_)) if self.length == Some(self.received) => self.finish(),
            Ok(Some(_)) => {}
            Ok(None) => self.finish(),
            Err(_) => {
                self.has_sent_request = self.has_sent_request();
                self.wire = None;
            }
        }
        Poll::Ready(part.transpose().map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (self.length, &self.wire) {
            (_, None) => SizeHint::with_exact(0),
            (Some(length), _) => SizeHint::with_exact(length - self.received),
            (None, _) => SizeHint::default(),
        }
    }
}

/// Room for the first read; doubled if it was too little.
const FIRST_ROOM: usize = 8 * 1024;
const MOST_ROOM: usize = 64 * 1024;
