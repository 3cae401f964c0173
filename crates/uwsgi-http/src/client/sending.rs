use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::AsyncWrite;

use super::error::ClientError;
use super::stream::Stream;
use crate::BoxError;

/// The body of a request, whatever its type was.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// Makes one type of all bodies; `None` if there is nothing to send.
pub(super) fn boxed<B>(body: B) -> Option<RequestBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    (!body.is_end_stream()).then(|| body.map_err(Into::into).boxed_unsync())
}

/// What is still to be sent of a request.
pub(super) struct Sending {
    packet: Bytes,
    part: Bytes,
    body: Option<RequestBody>,
    /// How many bytes the body has to have, if that was said.
    announced: Option<u64>,
    /// Bytes that the body has given.
    sent: u64,
    /// Whether a byte of the request has left.
    has_begun: bool,
    refused: Option<io::Error>,
    failed: Option<ClientError>,
}

/// How far the sending of a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything is sent.
    Complete,
    /// The server has closed its side.
    Refused,
    /// The body has given an error.
    Failed,
    /// The server does not receive for the moment.
    AwaitsServer,
    /// The next part of the body is not there yet.
    AwaitsBody,
}

impl Sending {
    pub(super) fn new(packet: Bytes, body: Option<RequestBody>, announced: Option<u64>) -> Self {
        Self {
            packet,
            part: Bytes::new(),
            body,
            announced,
            sent: 0,
            has_begun: false,
            refused: None,
            failed: None,
        }
    }

    /// Sends what can be sent now. The flag says whether that was anything.
    ///
    /// That the server does not want more is no error, and that the body has failed need
    /// not be one: the server may have answered.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> (Progress, bool) {
        let mut has_sent = false;
        loop {
            if self.refused.is_some() {
                return (Progress::Refused, has_sent);
            }
            if self.failed.is_some() {
                return (Progress::Failed, has_sent);
            }
            // The first part of the body leaves together with the packet if it is there.
            if self.part.is_empty() {
                match self.poll_part(cx) {
                    Poll::Ready(Ok(Some(part))) => self.part = part,
                    Poll::Ready(Ok(None)) if self.packet.is_empty() => {
                        return (Progress::Complete, has_sent);
                    }
                    Poll::Ready(Ok(None)) => {}
                    Poll::Ready(Err(error)) => {
                        self.failed = Some(error);
                        self.body = None;
                        continue;
                    }
                    Poll::Pending if self.packet.is_empty() => {
                        return (Progress::AwaitsBody, has_sent);
                    }
                    Poll::Pending => {}
                }
            }
            if self.packet.is_empty() && self.part.is_empty() {
                continue;
            }
            let parts = [IoSlice::new(&self.packet), IoSlice::new(&self.part)];
            match Pin::new(&mut *stream).poll_write_vectored(cx, &parts) {
                Poll::Pending => return (Progress::AwaitsServer, has_sent),
                Poll::Ready(Ok(written)) => {
                    has_sent = true;
                    self.has_begun = true;
                    let of_packet = written.min(self.packet.len());
                    self.packet.advance(of_packet);
                    self.part.advance(written - of_packet);
                }
                Poll::Ready(Err(error)) => {
                    self.refused = Some(error);
                    if self.has_begun {
                        self.body = None;
                    }
                }
            }
        }
    }

    /// Returns the next part of the body, `None` behind its end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ClientError>> {
        let frame = match &mut self.body {
            Some(body) => ready!(Pin::new(body).poll_frame(cx)),
            None => None,
        };
        let part = match frame.transpose() {
            // Trailers have no place in uwsgi.
            Ok(frame) => frame.map(|frame| Frame::into_data(frame).unwrap_or_default()),
            Err(error) => return Poll::Ready(Err(ClientError::RequestBody(error))),
        };
        match &part {
            Some(part) => self.sent += part.len() as u64,
            None => self.body = None,
        }
        Poll::Ready(match self.announced {
            Some(announced)
                if self.sent > announced || (part.is_none() && self.sent < announced) =>
            {
                Err(ClientError::RequestBodyLength {
                    announced,
                    sent: self.sent,
                })
            }
            _ => Ok(part),
        })
    }

    /// Returns whether the request has been sent to its last byte.
    pub(super) fn is_complete(&self) -> bool {
        let body = self.body.as_ref();
        self.refused.is_none()
            && self.failed.is_none()
            && (body.is_none_or(Body::is_end_stream) || self.announced == Some(self.sent))
            && self.packet.is_empty()
            && self.part.is_empty()
    }

    /// Returns the request, to be sent on another connection, if no byte of it has left.
    pub(super) fn unsent(self) -> Option<Self> {
        let refused = None;
        (!self.has_begun).then_some(Self { refused, ..self })
    }

    /// Takes the error with which the server refused to receive more.
    pub(super) fn take_refusal(&mut self) -> Option<io::Error> {
        self.refused.take()
    }

    /// Takes the error of the body.
    pub(super) fn take_failure(&mut self) -> Option<ClientError> {
        self.failed.take()
    }
}

impl fmt::Debug for Sending {
    /// Of what is sent only the lengths: it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("packet", &format_args!("{} bytes", self.packet.len()))
            .field("part", &format_args!("{} bytes", self.part.len()))
            .field("announced", &self.announced)
            .field("sent", &self.sent)
            .field("refused", &self.refused)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
