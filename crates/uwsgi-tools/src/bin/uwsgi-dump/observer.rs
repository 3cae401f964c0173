use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::display::Item;
use crate::place::Place;
use crate::printer::Times;
use crate::reply::Reply;
use crate::reply_stream::{Bodies, ReplyStream};
use crate::request_stream::{RequestEvent, RequestStream};
use crate::tee::Shared;
use crate::text::Milliseconds;

/// Looks at what goes over one connection, and shows it.
#[derive(Debug)]
pub(crate) struct Observer {
    connection: u64,
    shared: Arc<Shared>,
    requests: RequestStream,
    replies: ReplyStream,
    /// How many requests have come so far, and what else asks for a reply.
    count: u64,
    unanswered: VecDeque<Asked>,
    /// Whether a packet that is not complete is one of them.
    has_counted_part: bool,
    /// When the first byte of the reply under way came.
    first_byte: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    at: Instant,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    FrontEnd,
    Server,
}

impl Observer {
    pub(crate) fn new(connection: u64, shared: Arc<Shared>) -> Self {
        Self {
            connection,
            shared,
            requests: RequestStream::default(),
            replies: ReplyStream::new(Bodies::Count),
            count: 0,
            unanswered: VecDeque::new(),
            has_counted_part: false,
            first_byte: None,
        }
    }

    /// Looks at bytes that one side has sent.
    pub(crate) fn observe(&mut self, side: Side, bytes: &[u8]) {
        match side {
            Side::FrontEnd => {
                self.requests.feed(bytes);
                self.look_at_requests();
            }
            Side::Server => {
                let is_asked = self.replies.is_expecting() || self.replies.is_within_reply();
                if !is_asked && self.requests.is_within_packet() {
                    // As scoter does when the rest is late.
                    self.expect_refusal_of_part();
                }
                self.replies.feed(bytes);
                self.look_at_replies();
            }
        }
    }

    /// One side will send nothing more.
    pub(crate) fn ended(&mut self, side: Side) {
        match side {
            Side::FrontEnd => {
                let is_within_packet = self.requests.is_within_packet();
                if let Some(error) = self.requests.finish() {
                    if is_within_packet {
                        self.expect_refusal_of_part();
                    }
                    self.show(Some(self.count), Item::StreamError(error));
                }
            }
            Side::Server => {
                if let Some(reply) = self.replies.finish() {
                    self.answered(reply);
                }
            }
        }
    }

    /// What a side has sent could not be passed on.
    pub(crate) fn refused(&mut self, sender: Side, error: &io::Error) {
        let receiver = match sender {
            Side::FrontEnd => Side::Server,
            Side::Server => Side::FrontEnd,
        };
        self.error(format!("the {receiver} takes nothing more: {error}"));
    }

    /// The connection is over.
    pub(crate) fn finish(&mut self) {
        self.ended(Side::FrontEnd);
        self.ended(Side::Server);
        while let Some(asked) = self.unanswered.pop_front() {
            let after = Milliseconds(asked.at.elapsed());
            let error = format!("the connection ended without a reply, after {after}");
            self.show(Some(asked.number), Item::Error(error));
        }
    }

    /// Shows an error that concerns the whole connection.
    pub(crate) fn error(&self, error: String) {
        self.show(None, Item::Error(error));
    }

    fn look_at_requests(&mut self) {
        while let Some(event) = self.requests.next() {
            match event {
                RequestEvent::Packet(request) => {
                    self.replies.expect(&request);
                    let number = self.ask();
                    self.show(Some(number), Item::Request(Box::new(request)));
                }
                RequestEvent::Error(error) => {
                    self.replies.expect_refusal();
                    let number = self.ask();
                    self.show(Some(number), Item::StreamError(error));
                }
                RequestEvent::Body(_) | RequestEvent::End => {}
            }
        }
    }

    fn look_at_replies(&mut self) {
        loop {
            if self.replies.is_within_reply() {
                self.first_byte.get_or_insert_with(Instant::now);
            }
            match self.replies.next() {
                Some(reply) => self.answered(reply),
                None => break,
            }
        }
        if self.replies.is_tunnel() {
            self.requests.ignore();
        }
    }

    /// Counts a packet that is not complete as a request: a server may refuse it with a reply. Once: it is the last.
    fn expect_refusal_of_part(&mut self) {
        if !mem::replace(&mut self.has_counted_part, true) {
            self.replies.expect_refusal();
            self.ask();
        }
    }

    /// Counts what asks for a reply; returns its number.
    fn ask(&mut self) -> u64 {
        self.count += 1;
        self.unanswered.push_back(Asked {
            number: self.count,
            at: Instant::now(),
        });
        self.count
    }

    fn answered(&mut self, reply: Reply) {
        let now = Instant::now();
        let asked = self.unanswered.pop_front();
        let first_byte = self.first_byte.take();
        // Without a request, since it began itself.
        let since = asked.map(|asked| asked.at).or(first_byte).unwrap_or(now);
        let times = Times {
            first_byte: first_byte.map(|at| at - since),
            total: now - since,
        };
        let number = asked.map(|asked| asked.number);
        self.show(number, Item::Reply(Box::new(reply), times));
    }

    fn show(&self, request: Option<u64>, item: Item) {
        let place = Place::Connection {
            time: Timestamp::now(),
            connection: self.connection,
            request,
        };
        self.shared.display.show(place, item);
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrontEnd => "front end",
            Self::Server => "server",
        })
    }
}
