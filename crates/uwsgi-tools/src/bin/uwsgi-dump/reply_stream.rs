use std::collections::VecDeque;
use std::mem;

use bytes::{Buf, BytesMut};
use http::Method;
use uwsgi_codec::http::{BodyEnd, ReplyHead, ReplyLimits};

use crate::reply::{Ending, Head, Reply};
use crate::request::Request;
use crate::request_stream::Excerpt;

/// Finds replies in the bytes that a server has sent on a connection, in whatever pieces they come.
#[derive(Debug)]
pub(crate) struct ReplyStream {
    bodies: Bodies,
    /// The requests without a reply yet.
    expected: VecDeque<Expected>,
    buffer: BytesMut,
    /// Bytes in front of the buffer.
    offset: u64,
    state: State,
}

/// What becomes of the bodies of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    Keep,
    /// Only their lengths are kept.
    Count,
}

#[derive(Debug)]
enum Expected {
    Http(Method),
    /// A packet, or bytes, up to the end of the connection.
    Other,
}

#[derive(Debug)]
enum State {
    Head {
        interim: Vec<Head>,
    },
    Body {
        reply: Box<Reply>,
        end: BodyEnd,
    },
    /// Not looked at any more.
    Ignored,
}

impl ReplyStream {
    pub(crate) fn new(bodies: Bodies) -> Self {
        Self {
            bodies,
            expected: VecDeque::new(),
            buffer: BytesMut::new(),
            offset: 0,
            state: State::default(),
        }
    }

    /// Expects a reply to this request, behind the others.
    pub(crate) fn expect(&mut self, request: &Request) {
        self.expected.push_back(match request.http_method() {
            Some(method) => Expected::Http(method),
            None => Expected::Other,
        });
    }

    /// Expects a reply to something that is no request: servers refuse that with an HTTP reply.
    pub(crate) fn expect_refusal(&mut self) {
        self.expected.push_back(Expected::Http(Method::GET));
    }

    /// Returns whether a reply is expected that has not begun.
    pub(crate) fn is_expecting(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Returns whether a reply has begun and is not complete.
    pub(crate) fn is_within_reply(&self) -> bool {
        match &self.state {
            State::Head { interim } => !interim.is_empty() || !self.buffer.is_empty(),
            State::Body { .. } => true,
            State::Ignored => false,
        }
    }

    /// Returns whether the connection belongs to another protocol now.
    pub(crate) fn is_tunnel(&self) -> bool {
        let end = BodyEnd::Tunnel;
        matches!(&self.state, State::Body { end: is, .. } if *is == end)
    }

    /// Takes received bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self.state {
            State::Ignored => self.offset += bytes.len() as u64,
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// Returns the next reply, if it is complete or can never be.
    pub(crate) fn next(&mut self) -> Option<Reply> {
        loop {
            match &mut self.state {
                State::Ignored => return None,
                State::Head { .. } => match self.begin()? {
                    Begun::Reply => {}
                    Begun::Error(reply) => return Some(*reply),
                },
                State::Body { reply, end } => {
                    let left = match *end {
                        BodyEnd::None => 0,
                        BodyEnd::Length(len) => len - reply.body_len,
                        BodyEnd::Close | BodyEnd::Tunnel => u64::MAX,
                    };
                    let have = self.buffer.len();
                    let piece = usize::try_from(left).map_or(have, |left| left.min(have));
                    let bytes = self.buffer.split_to(piece);
                    self.offset += piece as u64;
                    reply.add(&bytes, self.bodies);
                    return match left == piece as u64 {
                        true => self.take(Ending::Complete),
                        false => None,
                    };
                }
            }
        }
    }

    /// Says that the connection has ended; returns the reply that this ends.
    pub(crate) fn finish(&mut self) -> Option<Reply> {
        let ending = match &self.state {
            State::Ignored => return None,
            State::Head { interim } if interim.is_empty() && self.buffer.is_empty() => return None,
            State::Head { .. } => Ending::CutHead {
                have: self.buffer.len(),
            },
            State::Body { end, .. } => match *end {
                BodyEnd::Length(need) => Ending::CutBody { need },
                _ => Ending::Complete,
            },
        };
        self.take(ending)
    }

    /// Reads a head; `None` if it is not complete.
    fn begin(&mut self) -> Option<Begun> {
        if self.buffer.is_empty() {
            return None;
        }
        let method = match self.expected.front() {
            None => return Some(Begun::Error(self.fail(Ending::Unexpected))),
            Some(Expected::Other) => {
                self.start(None, BodyEnd::Close);
                return Some(Begun::Reply);
            }
            Some(Expected::Http(method)) => method,
        };
        match ReplyHead::parse(&self.buffer, method, &LIMITS) {
            Ok(None) => None,
            Ok(Some((head, len))) => {
                let bytes = self.buffer.copy_to_bytes(len);
                self.offset += len as u64;
                let end = head.body_end();
                let is_interim = head.is_interim();
                let head = Head { bytes, head };
                match &mut self.state {
                    State::Head { interim } if is_interim => interim.push(head),
                    _ => self.start(Some(head), end),
                }
                Some(Begun::Reply)
            }
            Err(error) => Some(Begun::Error(self.fail(Ending::Malformed(error)))),
        }
    }

    fn start(&mut self, head: Option<Head>, end: BodyEnd) {
        self.expected.pop_front();
        let State::Head { interim } = mem::take(&mut self.state) else {
            return;
        };
        let reply = Box::new(Reply {
            offset: self.offset - head.as_ref().map_or(0, |head| head.bytes.len() as u64),
            interim,
            head,
            ..Reply::default()
        });
        self.state = State::Body { reply, end };
    }

    /// Ends the reply under way.
    fn take(&mut self, ending: Ending) -> Option<Reply> {
        match mem::take(&mut self.state) {
            State::Body { mut reply, .. } => {
                reply.ending = ending;
                Some(*reply)
            }
            State::Head { interim } => {
                self.expected.pop_front();
                let excerpt = Excerpt::of(&self.buffer);
                Some(Reply {
                    offset: self.offset,
                    interim,
                    excerpt,
                    ending,
                    ..Reply::default()
                })
            }
            State::Ignored => None,
        }
    }

    /// Gives up: nobody knows where another reply would begin.
    fn fail(&mut self, ending: Ending) -> Box<Reply> {
        let reply = Box::new(self.take(ending).unwrap_or_default());
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.state = State::Ignored;
        reply
    }
}

enum Begun {
    Reply,
    Error(Box<Reply>),
}

impl Default for State {
    fn default() -> Self {
        Self::Head {
            interim: Vec::new(),
        }
    }
}

/// Larger than a front end's: this is a tool to look at replies with.
const LIMITS: ReplyLimits = ReplyLimits::new()
    .with_max_bytes(1024 * 1024)
    .with_max_headers(4096);
