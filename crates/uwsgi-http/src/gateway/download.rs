use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};

use super::activity::UnderWay;
use super::refusal::Subject;
use crate::client::{ClientError, ReplyBody};

/// The body of a reply on its way to the client. An error is logged; it makes hyper close
/// the connection, by which the client sees that the body is incomplete. Where the end of
/// the connection ends the body, it is reset.
#[derive(Debug)]
pub(super) struct Download {
    body: ReplyBody,
    error: Option<ClientError>,
    subject: Arc<Subject>,
    under_way: Arc<UnderWay>,
    ends_with_connection: bool,
}

impl Download {
    /// Makes the body of the response to a request of this version.
    pub(super) fn new(
        body: ReplyBody,
        version: Version,
        subject: Arc<Subject>,
        under_way: Arc<UnderWay>,
    ) -> Self {
        // RFC 9112, 6.1 and 6.3: older clients know no chunks.
        let ends_with_connection = version < Version::HTTP_11 && body.size_hint().exact().is_none();
        Self {
            body,
            error: None,
            subject,
            under_way,
            ends_with_connection,
        }
    }

    pub(super) fn ends_with_connection(&self) -> bool {
        self.ends_with_connection
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.subject.log_cut(&error);
                if self.ends_with_connection {
                    self.under_way.reset();
                }
                // hyper drops what it has not sent when it sees an error, and it sends
                // when it has to wait: otherwise even the head would be lost.
                self.error = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.error {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}
