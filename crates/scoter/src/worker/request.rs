//! From received bytes to a request that can be served.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;
use uwsgi_codec::{Limits, Packet, modifier};
use wsgi_environ::Body;

use super::connection::Connection;
use super::refusal::Refusal;
use crate::config::BufferBody;

/// A request whose packet is complete, and whose body is either complete or read as the
/// application goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: Arc<Connection>,
    pub(crate) packet: Packet,
    pub(crate) body: Body,
    /// Whether the peer has sent more than its request, and may be sending still.
    pub(crate) overrun: bool,
    /// Held while the request waits in the ready queue, so that the queue is bounded.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// How bytes are judged: the limits of a packet, and which bodies are completed first.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) limits: Limits,
    pub(crate) body_buffer: usize,
    pub(crate) buffer_body: BufferBody,
}

/// What the bytes received so far amount to.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Part of a packet. Nothing was taken from the buffer.
    Packet,
    /// A packet, whose body is to be completed first. The body so far is in the buffer.
    Body(Missing),
    /// A request to be served now.
    Whole(Packet, Body),
    /// A request to be served now, which reads the rest of its body from the socket.
    Stream(Packet, Streamed),
    /// A ping, to be answered with these bytes.
    Ping([u8; 4]),
}

/// A packet that waits for its body.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) packet: Packet,
    /// Bytes of the whole body.
    pub(crate) length: u64,
}

/// The part of a long body that arrived with its packet.
#[derive(Debug)]
pub(crate) struct Streamed {
    pub(crate) prefix: Bytes,
    /// Bytes of the body that are still to come.
    pub(crate) remaining: u64,
}

impl Intake {
    /// Judges what has been received.
    pub(crate) fn examine(&self, buffer: &mut BytesMut) -> Result<Stage, Refusal> {
        let Some(packet) = Packet::decode(buffer, &self.limits)? else {
            return Ok(Stage::Packet);
        };
        match packet.header.modifier1 {
            modifier::WSGI | modifier::WSGI_SCRIPT_NAME => {}
            // uWSGI's ping plugin: modifier2 0 asks, 1 answers.
            modifier::PING => return Ok(Stage::Ping([modifier::PING, 0, 0, 1])),
            modifier1 => return Err(Refusal::Modifier { modifier1 }),
        }
        if packet.vars.is_empty() {
            return Err(Refusal::EmptyBlock);
        }
        let length = wsgi_environ::content_length(packet.vars.as_ref())?.unwrap_or(0);
        let arrived = buffer.len() as u64;
        if length <= arrived {
            let body = body_of(buffer, length);
            return Ok(Stage::Whole(packet, body));
        }
        if self.buffer_body == BufferBody::All || length <= self.body_buffer as u64 {
            return Ok(Stage::Body(Missing { packet, length }));
        }
        let streamed = Streamed {
            prefix: buffer.split().freeze(),
            remaining: length - arrived,
        };
        Ok(Stage::Stream(packet, streamed))
    }
}

/// Takes a complete body from the front of `buffer`. Bytes behind it are never looked at:
/// one request per connection.
pub(crate) fn body_of(buffer: &mut BytesMut, length: u64) -> Body {
    if length == 0 {
        return Body::empty();
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Body::buffered(buffer.split_to(length.min(buffer.len())).freeze())
}

#[cfg(test)]
mod tests {
    use uwsgi_codec::PacketBuilder;

    use super::*;

    fn intake(body_buffer: usize, buffer_body: BufferBody) -> Intake {
        Intake {
            limits: Limits::default(),
            body_buffer,
            buffer_body,
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
    fn body_size_decides_who_waits_for_it() {
        for (name, buffer_body, length, body, expected) in [
            ("no body", BufferBody::Auto, "", &b""[..], "Whole"),
            ("arrived", BufferBody::Auto, "3", b"abc", "Whole"),
            ("arrived, and more", BufferBody::Auto, "3", b"abcd", "Whole"),
            (
                "as large as the buffer",
                BufferBody::Auto,
                "8",
                b"abc",
                "Body",
            ),
            ("larger", BufferBody::Auto, "9", b"abc", "Stream"),
            (
                "larger, to be completed",
                BufferBody::All,
                "9",
                b"abc",
                "Body",
            ),
        ] {
            let stage = intake(8, buffer_body)
                .examine(&mut received(length, body))
                .unwrap();
            assert!(
                format!("{stage:?}").starts_with(expected),
                "{name}: {stage:?}"
            );
        }
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
                _ => assert!(matches!(stage, Err(Refusal::Modifier { .. }))),
            }
        }
    }
}
