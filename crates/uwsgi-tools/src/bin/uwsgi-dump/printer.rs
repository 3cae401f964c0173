use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::place::Place;
use crate::replayed::Replayed;
use crate::reply::Reply;
use crate::request::Request;
use crate::request_stream::StreamError;
use crate::secrets::Secrets;
use crate::{json, text};

/// Writes what was found, as text or as lines of JSON.
#[derive(Debug)]
pub(crate) struct Printer<W> {
    to: W,
    format: Format,
    secrets: Secrets,
}

/// What the output looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// What is known of a body besides its length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    Kept(&'a [u8]),
    Counted,
    /// It may still have to come.
    Announced,
    /// The stream ended after so many bytes of it.
    CutShort(u64),
}

impl Body<'_> {
    /// Returns how many bytes have come of the body of a request, if fewer than announced.
    pub(crate) fn cut_short(self, announced: u64) -> Option<u64> {
        let received = match self {
            Self::Kept(bytes) => bytes.len() as u64,
            Self::Counted | Self::Announced => announced,
            Self::CutShort(received) => received,
        };
        (received < announced).then_some(received)
    }
}

/// How long a reply took, from when its request's packet was complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until its first byte; `None` if there was none.
    pub(crate) first_byte: Option<Duration>,
    /// Until its end.
    pub(crate) total: Duration,
}

impl<W: Write> Printer<W> {
    pub(crate) fn new(to: W, format: Format, secrets: Secrets) -> Self {
        Self {
            to,
            format,
            secrets,
        }
    }

    pub(crate) fn request(
        &mut self,
        place: &Place,
        request: &Request,
        body: Body<'_>,
    ) -> io::Result<()> {
        match self.format {
            Format::Text => text::request(&mut self.to, place, request, body, self.secrets),
            Format::Json => self.json(&json::request(place, request, body, self.secrets)),
        }
    }

    pub(crate) fn reply(
        &mut self,
        place: &Place,
        reply: &Reply,
        body: Body<'_>,
        times: Option<Times>,
    ) -> io::Result<()> {
        match self.format {
            Format::Text => text::reply(&mut self.to, place, reply, body, times, self.secrets),
            Format::Json => self.json(&json::reply(place, reply, body, times, self.secrets)),
        }
    }

    pub(crate) fn replayed(&mut self, replayed: &Replayed<'_>) -> io::Result<()> {
        match self.format {
            Format::Text => replayed.text(&mut self.to, self.secrets),
            Format::Json => self.json(&replayed.json(self.secrets)),
        }
    }

    pub(crate) fn stream_error(&mut self, place: &Place, error: &StreamError) -> io::Result<()> {
        match self.format {
            Format::Text => writeln!(self.to, "{place}: error: {error}"),
            Format::Json => self.json(&json::stream_error(place, error)),
        }
    }

    pub(crate) fn error(&mut self, place: &Place, error: String) -> io::Result<()> {
        match self.format {
            Format::Text => writeln!(self.to, "{place}: error: {error}"),
            Format::Json => self.json(&json::error(place, error)),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, line)?;
        self.to.write_all(b"\n")
    }
}
