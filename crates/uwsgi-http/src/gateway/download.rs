use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::refusal::Subject;
use crate::client::{ClientError, ReplyBody};

/// The body of a reply on its way to the client. An error is logged; it makes hyper close
/// the connection, by which the client sees that the body is incomplete.
#[derive(Debug)]
pub(super) struct Download {
    body: ReplyBody,
    subject: Arc<Subject>,
}

impl Download {
    pub(super) fn new(body: ReplyBody, subject: Arc<Subject>) -> Self {
        Self { body, subject }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &frame {
            self.subject.log_cut(error);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
