use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Method;
use http_body::Body;
use uwsgi_codec::http::{BodyEnd, ReplyError, ReplyHead, ReplyLimits};

use super::error::{ClientError, Wait};
use super::reply_body::ReplyBody;
use super::sending::{Sending, boxed};
use super::stream::Stream;
use super::timeouts::Timeouts;
use super::wire::Wire;
use crate::BoxError;

/// One request and its reply, on a connection that the caller has opened, with a packet
/// that the caller has built.
///
/// For tools that send packets of any content: captured ones, malformed ones, a million
/// of them. [`Client`](super::Client) makes packets of HTTP requests.
///
/// # Examples
///
/// ```no_run
/// use http::Method;
/// use http_body_util::{BodyExt, Full};
/// use uwsgi_codec::PacketBuilder;
/// use uwsgi_http::client::{Exchange, Stream, Timeouts};
///
/// # async fn post() -> Result<(), Box<dyn std::error::Error>> {
/// let packet = PacketBuilder::new()
///     .var("REQUEST_METHOD", "POST")?
///     .var("PATH_INFO", "/upload")?
///     .var("CONTENT_LENGTH", "5")?
///     .to_vec()?;
/// let timeouts = Timeouts::new();
/// let stream = Stream::connect(&"/run/app.sock".parse()?, timeouts.connect).await?;
/// let reply = Exchange::new(packet, Method::POST)
///     .with_timeouts(timeouts)
///     .send(stream, Full::from("hello"))
///     .await?;
/// println!("{}", reply.head.status());
/// let body = reply.body.collect().await?.to_bytes();
/// # Ok(())
/// # }
/// ```
pub struct Exchange {
    packet: Bytes,
    method: Method,
    limits: ReplyLimits,
    timeouts: Timeouts,
    on_interim: Option<OnInterim>,
}

type OnInterim = Box<dyn FnMut(&ReplyHead) + Send>;

/// A reply whose head has come.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The head.
    pub head: ReplyHead,
    /// The head as it was received, with the empty line that ends it.
    pub head_bytes: Bytes,
    /// The body, which is still to be received.
    pub body: ReplyBody,
}

/// Why there is no reply.
pub(super) struct Unanswered {
    pub(super) error: ClientError,
    /// The request, if the server provably has received nothing of it.
    pub(super) unsent: Option<Box<Sending>>,
}

impl From<ClientError> for Unanswered {
    fn from(error: ClientError) -> Self {
        let unsent = None;
        Self { error, unsent }
    }
}

impl Exchange {
    /// Prepares to send a packet in its wire form.
    ///
    /// `method` is what the packet says in `REQUEST_METHOD`: the reply to `HEAD` has no
    /// body, whatever its head says.
    #[must_use]
    pub fn new(packet: impl Into<Bytes>, method: Method) -> Self {
        Self {
            packet: packet.into(),
            method,
            limits: ReplyLimits::new(),
            timeouts: Timeouts::new(),
            on_interim: None,
        }
    }

    /// Sets the limits of the reply's head. 1xx heads before it count towards the bytes.
    #[must_use]
    pub fn with_limits(mut self, limits: ReplyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long the server may take. [`Timeouts::connect`] has no effect here.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets what is called with each 1xx head as it comes, such as 103 with links to
    /// load early. Default: they are skipped.
    #[must_use]
    pub fn with_on_interim(mut self, call: impl FnMut(&ReplyHead) + Send + 'static) -> Self {
        self.on_interim = Some(Box::new(call));
        self
    }

    /// Sends the packet and the body, and receives the head of the reply.
    ///
    /// All of `body` is sent behind the packet, whatever its vars say of it. The reply
    /// is received meanwhile. A server may answer and close before it has received the
    /// whole body: that is a reply like any other. What is left of the body when the
    /// head has come is sent while the [`ReplyBody`] is read, until that ends
    /// ([`ReplyBody::has_sent_request`]).
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoReply`], [`ClientError::HeadCutShort`]: the server closed the
    ///   connection;
    /// - [`ClientError::Head`], [`ClientError::Tunnel`]: what came is of no use;
    /// - [`ClientError::Timeout`];
    /// - [`ClientError::RequestBody`]: `body` gave an error before the head had come.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn send<B>(self, stream: Stream, body: B) -> Result<Reply, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let sending = Sending::new(self.packet.clone(), boxed(body), None);
        let reply = self.send_on(stream, sending).await;
        reply.map_err(|unanswered| unanswered.error)
    }

    /// Sends what is given in place of the packet.
    pub(super) async fn send_on(
        mut self,
        stream: Stream,
        sending: Sending,
    ) -> Result<Reply, Unanswered> {
        let mut wire = Wire::new(stream, sending, self.timeouts);
        let (head, head_bytes) = match poll_fn(|cx| self.poll_head(&mut wire, cx)).await {
            Ok(head) => head,
            Err(error @ ClientError::NoReply { .. }) => {
                let unsent = wire.sending.unsent().map(Box::new);
                return Err(Unanswered { error, unsent });
            }
            Err(error) => return Err(error.into()),
        };
        if head.body_end() == BodyEnd::Tunnel {
            let status = head.status();
            return Err(ClientError::Tunnel { status }.into());
        }
        let body = ReplyBody::new(wire, &head);
        Ok(Reply {
            head,
            head_bytes,
            body,
        })
    }

    /// Receives the final head.
    fn poll_head(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(ReplyHead, Bytes), ClientError>> {
        loop {
            let room = self.limits.max_bytes.saturating_sub(wire.received.len());
            match ready!(wire.poll_read(Wait::Head, room.clamp(1, HEAD_ROOM), cx))? {
                Ok(0) => return Poll::Ready(Err(closed_early(wire, None))),
                Ok(new) => {
                    // A head ends with a line.
                    let is_full = wire.received.len() >= self.limits.max_bytes;
                    let before = wire.received.len() - new;
                    if !is_full && !wire.received[before..].contains(&b'\n') {
                        continue;
                    }
                }
                Err(error) => return Poll::Ready(Err(closed_early(wire, Some(error)))),
            }
            while let Some((head, len)) =
                ReplyHead::parse(&wire.received, &self.method, &self.limits)?
            {
                let bytes = wire.received.split_to(len).freeze();
                if !head.is_interim() {
                    return Poll::Ready(Ok((head, bytes)));
                }
                if let Some(call) = &mut self.on_interim {
                    call(&head);
                }
                self.spend(len)?;
            }
        }
    }

    /// Counts an interim head, so that they do not follow each other for ever.
    fn spend(&mut self, len: usize) -> Result<(), ReplyError> {
        let limit = self.limits.max_bytes;
        match limit.checked_sub(len).filter(|&left| left > 0) {
            Some(left) => {
                self.limits.max_bytes = left;
                Ok(())
            }
            None => Err(ReplyError::TooLong { limit }),
        }
    }
}

/// Says what it means that the connection has ended before the head was complete.
fn closed_early(wire: &mut Wire, error: Option<io::Error>) -> ClientError {
    let error = error.or_else(|| wire.sending.take_refusal());
    match wire.received.len() {
        0 => ClientError::NoReply { error },
        received => ClientError::HeadCutShort { received, error },
    }
}

impl fmt::Debug for Exchange {
    /// Of the packet only the length: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("packet", &format_args!("{} bytes", self.packet.len()))
            .field("method", &self.method)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// More than most heads have, and room for the beginning of the body.
const HEAD_ROOM: usize = 8 * 1024;
