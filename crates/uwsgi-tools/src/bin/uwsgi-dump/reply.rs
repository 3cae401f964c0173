use bytes::Bytes;
use uwsgi_codec::http::{BodyEnd, ReplyError, ReplyHead};
use uwsgi_codec::{Limits, RawPacketRef};

use crate::reply_stream::Bodies;
use crate::request_stream::Excerpt;

/// A reply of a captured stream.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// Where it begins, in bytes from the start of the stream.
    pub(crate) offset: u64,
    /// The 1xx heads in front of it.
    pub(crate) interim: Vec<Head>,
    /// `None` for a reply that is not HTTP, or not understood.
    pub(crate) head: Option<Head>,
    pub(crate) body_len: u64,
    /// The body, or only its start: what is needed to recognise a packet.
    pub(crate) body: Vec<u8>,
    pub(crate) ending: Ending,
    /// The first bytes of what could not be read.
    pub(crate) excerpt: Excerpt,
}

/// The head of a reply, read and as it was sent.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) bytes: Bytes,
    pub(crate) head: ReplyHead,
}

/// How a reply ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ending {
    #[default]
    #[error("complete")]
    Complete,
    #[error("the connection ended within the head, after {have} bytes of it")]
    CutHead { have: usize },
    #[error("the connection ended within the body, of {need} bytes")]
    CutBody { need: u64 },
    #[error("not an HTTP reply: {0}")]
    Malformed(ReplyError),
    #[error("the server sent bytes that no request asked for")]
    Unexpected,
}

impl Head {
    /// Returns the lines as they were sent, without their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes.split(|&byte| byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
    }
}

impl Reply {
    pub(crate) fn add(&mut self, bytes: &[u8], bodies: Bodies) {
        self.body_len += bytes.len() as u64;
        let room = match bodies {
            Bodies::Keep => bytes.len(),
            Bodies::Count if self.head.is_none() => MAX_PACKET - self.body.len(),
            Bodies::Count => 0,
        };
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns the status, if the reply is HTTP.
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.head.status().as_u16())
    }

    /// Returns whether another protocol follows the head.
    pub(crate) fn is_tunnel(&self) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.head.body_end() == BodyEnd::Tunnel)
    }

    /// Returns the packet that the reply is, if it is one and nothing else.
    pub(crate) fn packet(&self) -> Option<RawPacketRef<'_>> {
        if self.head.is_some() || self.ending != Ending::Complete {
            return None;
        }
        let packet = RawPacketRef::decode(&self.body, &Limits::default()).ok()??;
        (packet.len() as u64 == self.body_len).then_some(packet)
    }
}

/// Bytes of the largest packet.
const MAX_PACKET: usize = 4 + u16::MAX as usize;
