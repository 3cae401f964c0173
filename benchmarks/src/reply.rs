use crate::chunks::Chunks;
use crate::expectation::{Expectation, excerpt};
use crate::fault::{Fault, Sent};
use crate::head::{self, Framing};
use crate::options::Protocol;
use crate::tally::HeaderCounts;

/// How replies are read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) protocol: Protocol,
    pub(crate) expectation: Expectation,
    /// Whether bodies are left out: the request is a HEAD.
    pub(crate) without_body: bool,
}

/// One reply, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// A head that is not whole yet.
    partial: Vec<u8>,
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    received: u64,
    until: Until,
    keeps: bool,
}

#[derive(Debug)]
enum Until {
    Length(u64),
    LastChunk(Chunks),
    Close,
}

/// What a reply is after some more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Incomplete,
    Complete {
        /// Whether the connection may be used again.
        keeps: bool,
    },
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// Something was lost, or the server left input unread.
    Reset,
}

impl Reply {
    /// Prepares for the next reply; memory is kept.
    pub(crate) fn restart(&mut self) {
        self.partial.clear();
        self.body = None;
    }

    /// Returns whether nothing has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.body.is_none() && self.partial.is_empty()
    }

    /// Takes what has come, and compares it with what is expected.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        reading: &Reading,
        counts: &mut HeaderCounts,
    ) -> Result<Progress, Fault> {
        if self.body.is_some() {
            return self.feed_body(input, reading);
        }
        if self.partial.is_empty() {
            return self.feed_head(input, reading, counts);
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(input);
        let progress = self.feed_head(&partial, reading, counts);
        if self.partial.is_empty() {
            partial.clear();
            self.partial = partial;
        }
        progress
    }

    /// Takes the end of the connection.
    pub(crate) fn end(&self, end: End, sent: Sent, reading: &Reading) -> Result<(), Fault> {
        let Some(body) = &self.body else {
            return Err(Fault::CutHead {
                got: excerpt(&self.partial),
                sent,
            });
        };
        let received = body.received;
        match body.until {
            Until::Close if end == End::Reset => Err(Fault::Reset { received }),
            Until::Close => reading.expectation.compare_size(received),
            Until::LastChunk(_) => Err(Fault::CutChunks { received, sent }),
            Until::Length(expected) => Err(Fault::CutBody {
                expected,
                received,
                sent,
            }),
        }
    }

    fn feed_head(
        &mut self,
        mut input: &[u8],
        reading: &Reading,
        counts: &mut HeaderCounts,
    ) -> Result<Progress, Fault> {
        loop {
            let Some(parsed) = head::parse(input, reading.protocol, counts)? else {
                self.partial = input.to_vec();
                return Ok(Progress::Incomplete);
            };
            let rest = &input[parsed.len..];
            let head = parsed.head;
            if matches!(head.status, 100..200) && reading.protocol == Protocol::Http {
                input = rest;
                continue;
            }
            if head.status != reading.expectation.status {
                return Err(Fault::Status {
                    expected: reading.expectation.status,
                    got: head.status,
                    reason: parsed.reason.to_owned(),
                    body: excerpt(rest),
                });
            }
            // RFC 9112, 6.3: such replies end with their head, whatever it announces.
            let until = if reading.without_body || matches!(head.status, 204 | 304) {
                Until::Length(0)
            } else {
                match head.framing {
                    Framing::Length(length) => Until::Length(length),
                    Framing::Chunked => Until::LastChunk(Chunks::START),
                    Framing::UntilClose => Until::Close,
                }
            };
            self.body = Some(Body {
                received: 0,
                until,
                keeps: head.keeps,
            });
            return self.feed_body(rest, reading);
        }
    }

    fn feed_body(&mut self, input: &[u8], reading: &Reading) -> Result<Progress, Fault> {
        let Some(body) = &mut self.body else {
            return Ok(Progress::Incomplete);
        };
        let expectation = &reading.expectation;
        let (used, complete) = match &mut body.until {
            Until::Length(length) => {
                let missing = usize::try_from(*length - body.received).unwrap_or(usize::MAX);
                let piece = &input[..input.len().min(missing)];
                expectation.compare(body.received, piece)?;
                body.received += piece.len() as u64;
                (piece.len(), body.received == *length)
            }
            Until::LastChunk(chunks) => {
                let used = chunks.feed(input, &mut body.received, expectation)?;
                (used, *chunks == Chunks::Done)
            }
            Until::Close => {
                expectation.compare(body.received, input)?;
                body.received += input.len() as u64;
                (input.len(), false)
            }
        };
        if !complete {
            return Ok(Progress::Incomplete);
        }
        if used < input.len() {
            return Err(Fault::Surplus {
                got: excerpt(&input[used..]),
            });
        }
        expectation.compare_size(body.received)?;
        Ok(Progress::Complete { keeps: body.keeps })
    }
}
