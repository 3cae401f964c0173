//! Turns received bytes into a request that can be served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::OwnedSemaphorePermit;
use uwsgi_codec::{Limits, modifier};
use wsgi_environ::Body;

use crate::config::BufferBody;
use crate::request_head::{RequestHead, RequestIds};
use crate::worker::connection::Connection;
use crate::worker::response::refusal::{Refusal, Refused};

/// A request whose packet is complete, and whose body is either complete or read as the
/// application goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: Arc<Connection>,
    pub(crate) head: Arc<RequestHead>,
    pub(crate) body: Body,
    /// Whether the peer has sent more than its request, and may be sending still.
    pub(crate) overrun: bool,
    /// When it was complete, and began to wait for a slot.
    pub(crate) since: Instant,
    /// When the front end passed it on, if it says so, by the clock of [`clock::now`]; the time
    /// that its body took to arrive is left out. Known once the request is admitted.
    ///
    /// [`clock::now`]: crate::sys::clock::now
    pub(crate) queued_since: Option<u64>,
    /// Held while the request waits in the ready queue, so that the queue is bounded.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// How long it has waited by `now`, in the front end's queue, the kernel's and ours; the time
    /// that its body took to arrive is nobody's wait. `None` without the front end's clock: nobody
    /// else knows how long it was in the kernel's queue.
    pub(crate) fn waited(&self, now: Instant) -> Option<Duration> {
        let age = self.head.front_end_age()?;
        let here = self.waited_here(now);
        let accepted = self.connection.accepted();
        if self.since == accepted {
            return Some(age.max(here));
        }
        let arriving = self.since.saturating_duration_since(accepted);
        Some(age.saturating_sub(arriving).max(here))
    }

    /// The same, or as much of it as is known.
    pub(crate) fn waited_at_least(&self, now: Instant) -> Duration {
        self.waited(now).unwrap_or_else(|| self.waited_here(now))
    }

    /// How much of it this process knows by itself.
    pub(crate) fn waited_here(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// How bytes are judged: the limits of a request, and which bodies are completed first.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) limits: Limits,
    /// Bytes of the longest body.
    pub(crate) max_body: u64,
    pub(crate) body_buffer: usize,
    pub(crate) buffer_body: BufferBody,
    pub(crate) request_ids: RequestIds,
}

/// What the bytes received so far amount to.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Part of a packet. Nothing was taken from the buffer.
    Packet,
    /// A packet, whose body is incomplete. The body so far is in the buffer.
    Body(Arc<RequestHead>),
    /// A request to be served now.
    Whole(Arc<RequestHead>, Body),
    /// A ping, to be answered with these bytes.
    Ping([u8; 4]),
}

impl Intake {
    /// Judges what has been received.
    pub(crate) fn examine(&self, buffer: &mut BytesMut) -> Result<Stage, Refused> {
        let Some(head) = RequestHead::decode(buffer, &self.limits, &self.request_ids)? else {
            return Ok(Stage::Packet);
        };
        // uWSGI's ping plugin: modifier2 0 asks, 1 answers.
        if head.packet.header.modifier1 == modifier::PING {
            return Ok(Stage::Ping([modifier::PING, 0, 0, 1]));
        }
        let length = match self.body_length(&head) {
            Ok(length) => length,
            Err(refusal) => {
                return Err(Refused {
                    refusal,
                    head: Some(head),
                });
            }
        };
        if length <= buffer.len() as u64 {
            let body = body_of(buffer, length);
            return Ok(Stage::Whole(head, body));
        }
        Ok(Stage::Body(head))
    }

    /// The length of a request's body, unless the request is refused.
    fn body_length(&self, head: &RequestHead) -> Result<u64, Refusal> {
        match head.packet.header.modifier1 {
            modifier::WSGI | modifier::WSGI_SCRIPT_NAME => {}
            modifier1 => return Err(Refusal::Modifier { modifier1 }),
        }
        if head.packet.vars.is_empty() {
            return Err(Refusal::EmptyBlock);
        }
        let length = head.content_length()?;
        if length > self.max_body {
            let limit = self.max_body;
            return Err(Refusal::BodyTooLong { length, limit });
        }
        Ok(length)
    }

    /// Whether the application reads a body of this length as it comes, once it has begun to.
    pub(crate) fn streams(&self, length: u64) -> bool {
        self.buffer_body == BufferBody::Auto && length > self.body_buffer as u64
    }
}

/// Takes a complete body from the front of `buffer`. Bytes behind it are never looked at: a front
/// end sends its next request once it has the response (KEEPALIVE.md), so they end the connection.
pub(crate) fn body_of(buffer: &mut BytesMut, length: u64) -> Body {
    if length == 0 {
        return Body::empty();
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Body::buffered(buffer.split_to(length.min(buffer.len())).freeze())
}

/// A body of which so much has arrived as there is in `buffer`, and the rest is read from
/// `connection`.
pub(crate) fn streamed_body(
    buffer: &mut BytesMut,
    length: u64,
    connection: Arc<Connection>,
) -> Body {
    let prefix = buffer.split().freeze();
    let remaining = length.saturating_sub(prefix.len() as u64);
    Body::streamed(prefix, remaining, connection)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::time::SystemTime;

    use uwsgi_codec::PacketBuilder;

    use super::*;
    use crate::net::Family;
    use crate::worker::connection::ConnectionTimeouts;
    use crate::worker::response::refusal::Answer;

    #[test]
    fn time_that_a_body_takes_to_arrive_is_no_wait() {
        let (fd, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let timeouts = ConnectionTimeouts {
            body: Duration::ZERO,
            write: Duration::ZERO,
        };
        let connection = Arc::new(Connection::new(OwnedFd::from(fd), Family::Unix, timeouts));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let start = (now.unwrap() - Duration::from_secs(60))
            .as_secs()
            .to_string();
        let head = RequestHead::of([("HTTP_X_REQUEST_START", start)]);
        let waited = |arriving| {
            let request = Request {
                since: connection.accepted() + Duration::from_secs(arriving),
                connection: Arc::clone(&connection),
                head: Arc::clone(&head),
                body: Body::empty(),
                overrun: false,
                queued_since: None,
                permit: None,
            };
            request.waited(Instant::now()).unwrap().as_secs()
        };
        assert!((60..62).contains(&waited(0)));
        assert!((20..22).contains(&waited(40)));
        assert_eq!(waited(100), 0);
    }

    fn intake(body_buffer: usize, buffer_body: BufferBody) -> Intake {
        Intake {
            limits: Limits::default().with_max_vars(2),
            max_body: 1_000,
            body_buffer,
            buffer_body,
            request_ids: RequestIds::new().unwrap(),
        }
    }

    fn received(content_length: &str, body: &[u8]) -> BytesMut {
        let mut packet = PacketBuilder::new();
        packet.var("CONTENT_LENGTH", content_length).unwrap();
        let mut bytes = BytesMut::new();
        packet.encode(&mut bytes).unwrap();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn what_has_arrived_of_a_body_decides_whether_it_is_waited_for() {
        for (name, length, body, expected) in [
            ("no body", "", &b""[..], "Whole"),
            ("arrived", "3", b"abc", "Whole"),
            ("arrived, and more", "3", b"abcd", "Whole"),
            ("arrived in part", "8", b"abc", "Body"),
            ("not begun", "8", b"", "Body"),
        ] {
            let stage = intake(8, BufferBody::Auto)
                .examine(&mut received(length, body))
                .unwrap();
            assert!(
                format!("{stage:?}").starts_with(expected),
                "{name}: {stage:?}"
            );
        }
    }

    #[test]
    fn body_size_decides_who_waits_for_it() {
        for (name, buffer_body, length, expected) in [
            ("as large as the buffer", BufferBody::Auto, 8, false),
            ("larger", BufferBody::Auto, 9, true),
            ("larger, to be completed", BufferBody::All, 9, false),
        ] {
            assert_eq!(intake(8, buffer_body).streams(length), expected, "{name}");
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_by_its_name() {
        let refusal = |bytes: &mut BytesMut| match intake(8, BufferBody::Auto).examine(bytes) {
            Err(refused) => (refused.refusal.answer(), refused.refusal.to_string()),
            Ok(stage) => panic!("{stage:?}"),
        };
        let (answer, text) = refusal(&mut received("1001", b""));
        assert_eq!(answer, Answer::Status(413));
        assert!(text.contains("--max-body"), "{text}");
        let mut packet = PacketBuilder::new();
        packet.vars([("a", ""), ("b", ""), ("c", "")]).unwrap();
        let (answer, text) = refusal(&mut BytesMut::from(&*packet.to_vec().unwrap()));
        assert_eq!(answer, Answer::Status(400));
        assert!(text.contains("--max-vars"), "{text}");
    }

    #[test]
    fn half_a_packet_is_left_where_it_is() {
        let mut bytes = received("", b"");
        bytes.truncate(10);
        let stage = intake(8, BufferBody::Auto).examine(&mut bytes).unwrap();
        assert!(matches!(stage, Stage::Packet));
        assert_eq!(bytes.len(), 10);
    }

    #[test]
    fn only_wsgi_and_ping_are_served() {
        for modifier1 in 0..=255 {
            let mut bytes = received("", b"");
            bytes[0] = modifier1;
            let stage = intake(8, BufferBody::Auto).examine(&mut bytes);
            match modifier1 {
                0 | 30 => assert!(matches!(stage, Ok(Stage::Whole(..)))),
                100 => assert!(matches!(stage, Ok(Stage::Ping([100, 0, 0, 1])))),
                _ => assert!(matches!(
                    stage,
                    Err(Refused {
                        refusal: Refusal::Modifier { .. },
                        ..
                    })
                )),
            }
        }
    }
}
