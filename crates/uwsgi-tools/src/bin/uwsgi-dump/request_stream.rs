use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use uwsgi_codec::{
    DecodeError, Header, Limits, PacketRef, RawPacket, RawPacketRef, modifier, needed,
};
use uwsgi_tools::Escaped;

use crate::request::{LIMITS, Malformed, Request};

/// Finds packets and bodies in the bytes that one side of a connection has sent, in whatever pieces they come.
///
/// A body is as long as its packet says; behind it the next packet begins. After the first error nothing more is
/// looked at, because nobody knows where a packet would begin.
#[derive(Debug, Default)]
pub(crate) struct RequestStream {
    buffer: BytesMut,
    /// Bytes in front of the buffer.
    offset: u64,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Packet,
    Body {
        start: u64,
        left: u64,
        len: u64,
    },
    /// Not looked at any more.
    Ignored,
}

/// What comes next in a stream.
#[derive(Debug)]
pub(crate) enum RequestEvent {
    Packet(Request),
    /// A piece of the body.
    Body(Bytes),
    /// The body is complete.
    End,
    Error(StreamError),
}

impl RequestStream {
    /// Takes received bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self.state {
            State::Ignored => self.offset += bytes.len() as u64,
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// Returns what comes next, if enough bytes are there.
    pub(crate) fn next(&mut self) -> Option<RequestEvent> {
        match self.state {
            State::Packet => self.next_packet(),
            State::Body { left: 0, .. } => {
                self.state = State::Packet;
                Some(RequestEvent::End)
            }
            State::Body { .. } if self.buffer.is_empty() => None,
            State::Body { start, left, len } => {
                let have = self.buffer.len();
                let piece = usize::try_from(left).map_or(have, |left| left.min(have));
                let left = left - piece as u64;
                self.state = State::Body { start, left, len };
                self.offset += piece as u64;
                Some(RequestEvent::Body(self.buffer.split_to(piece).freeze()))
            }
            State::Ignored => None,
        }
    }

    /// Says that nothing more will come; returns what is missing.
    pub(crate) fn finish(&mut self) -> Option<StreamError> {
        let error = match self.state {
            State::Packet if !self.buffer.is_empty() => {
                let have = self.buffer.len();
                self.error(ErrorKind::IncompletePacket {
                    have,
                    need: have + needed(&self.buffer),
                })
            }
            State::Body { start, left, len } if left > 0 => StreamError {
                offset: start,
                kind: ErrorKind::IncompleteBody {
                    have: len - left,
                    need: len,
                },
                excerpt: Excerpt::default(),
            },
            _ => return None,
        };
        self.ignore();
        Some(error)
    }

    /// Returns whether a packet has begun and is not complete.
    pub(crate) fn is_within_packet(&self) -> bool {
        matches!(self.state, State::Packet) && !self.buffer.is_empty()
    }

    /// Looks at nothing more: the connection belongs to another protocol now.
    pub(crate) fn ignore(&mut self) {
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.state = State::Ignored;
    }

    fn next_packet(&mut self) -> Option<RequestEvent> {
        let packet = match self.decode() {
            Ok(packet) => packet?,
            Err(error) => return Some(self.fail(0, error.into())),
        };
        let request = match Request::new(self.offset, packet.clone()) {
            Ok(request) => request,
            Err(error) => {
                let at = error.block_offset().map_or(0, |at| Header::LEN + at);
                return Some(self.fail(at, error));
            }
        };
        self.buffer.advance(packet.len());
        self.offset += packet.len() as u64;
        self.state = State::Body {
            start: self.offset,
            left: request.body_len,
            len: request.body_len,
        };
        Some(RequestEvent::Packet(request))
    }

    fn decode(&self) -> Result<Option<RawPacket>, DecodeError> {
        if self.begins_tls() {
            return Err(DecodeError::TlsHandshake);
        }
        let packet = RawPacketRef::decode(&self.buffer, &LIMITS)?;
        Ok(packet.map(|packet| packet.to_owned()))
    }

    /// Tells a TLS handshake from a packet with code to evaluate, which may have the same header: no code has the type
    /// of the message, client or server hello (RFC 8446, 4), as its second character.
    fn begins_tls(&self) -> bool {
        self.buffer.first() == Some(&modifier::EVAL)
            && matches!(self.buffer.get(5), Some(1 | 2))
            && PacketRef::decode(&self.buffer, &Limits::default()) == Err(DecodeError::TlsHandshake)
    }

    /// Gives up because of what is `at` in the buffer.
    fn fail(&mut self, at: usize, error: Malformed) -> RequestEvent {
        let error = StreamError {
            offset: self.offset + at as u64,
            kind: ErrorKind::Malformed(error),
            excerpt: Excerpt::of(&self.buffer[at.min(self.buffer.len())..]),
        };
        self.ignore();
        RequestEvent::Error(error)
    }

    fn error(&self, kind: ErrorKind) -> StreamError {
        StreamError {
            offset: self.offset,
            kind,
            excerpt: Excerpt::of(&self.buffer),
        }
    }
}

/// What is wrong with a stream, and where.
#[derive(Debug)]
pub(crate) struct StreamError {
    /// In bytes from the start of the stream.
    pub(crate) offset: u64,
    pub(crate) kind: ErrorKind,
    pub(crate) excerpt: Excerpt,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error(transparent)]
    Malformed(Malformed),
    #[error("the stream ends within a packet: {have} of {need} bytes")]
    IncompletePacket { have: usize, need: usize },
    #[error("the stream ends within a body: {have} of {need} bytes")]
    IncompleteBody { have: u64, need: u64 },
}

impl ErrorKind {
    /// Returns the cause as a label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.kind(),
            Self::IncompletePacket { .. } => "incomplete_packet",
            Self::IncompleteBody { .. } => "incomplete_body",
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.kind)?;
        match self.excerpt.0.as_slice() {
            [] => Ok(()),
            _ => write!(f, "; there: {}", self.excerpt),
        }
    }
}

impl Error for StreamError {}

/// The first bytes of what could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excerpt(pub(crate) Vec<u8>);

impl Excerpt {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(bytes[..bytes.len().min(EXCERPT_BYTES)].to_vec())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0 {
            write!(f, "{byte:02x} ")?;
        }
        write!(f, "\"{}\"", Escaped(&self.0))
    }
}

const EXCERPT_BYTES: usize = 24;
