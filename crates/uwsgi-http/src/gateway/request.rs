use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use uwsgi_codec::http::{BodyLength, ConnectionInfo};

use super::activity::UnderWay;
use super::download::Download;
use super::refusal::{Refusal, Subject};
use super::upload::Upload;
use crate::client::{Client, ClientError, Reason};

/// What a [`Gateway`](super::Gateway) does with each request.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) max_body: u64,
    pub(super) buffered_body: usize,
    pub(super) client_timeout: Duration,
    /// Whether the server has answered anything but 400: an HTTP server does not.
    pub(super) speaks_uwsgi: Arc<AtomicBool>,
}

/// What a client gets: a reply of the server, or one of the gateway.
pub(super) type ResponseBody = Either<Download, Full<Bytes>>;

impl Requests {
    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        connection: &ConnectionInfo,
        under_way: Arc<UnderWay>,
    ) -> Response<ResponseBody> {
        let subject = Arc::new(Subject {
            server: self.client.address().clone(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        });
        let version = request.version();
        let sent = self.send(request, connection, Arc::clone(&under_way));
        match sent.await {
            Ok(response) => {
                self.see_whether_it_speaks_uwsgi(response.status(), &subject);
                let mut response =
                    response.map(|body| Download::new(body, version, subject, under_way));
                if response.body().ends_with_connection() {
                    // Otherwise hyper says `Connection: keep-alive` to a client that asks.
                    *response.version_mut() = Version::HTTP_10;
                }
                let mut response = response.map(Either::Left);
                let reason = response.extensions_mut().remove::<Reason>();
                if let Some(Ok(reason)) =
                    reason.map(|reason| ReasonPhrase::try_from(reason.into_bytes()))
                {
                    response.extensions_mut().insert(reason);
                }
                response
            }
            Err(refusal) => subject.refuse(&refusal).map(Either::Right),
        }
    }

    async fn send(
        &self,
        request: Request<Incoming>,
        connection: &ConnectionInfo,
        under_way: Arc<UnderWay>,
    ) -> Result<Response<crate::client::ReplyBody>, Refusal> {
        let (parts, body) = request.into_parts();
        let body = Upload::new(body, &parts.headers, self.client_timeout, under_way);
        if !has_host(&parts) {
            return Err(Refusal::NoHost);
        }
        if !has_known_coding(&parts.headers) {
            return Err(Refusal::TransferCoding);
        }
        let length = BodyLength::of(&parts).map_err(ClientError::from);
        let result = match length.map_err(Refusal::Exchange)? {
            BodyLength::Known(length) if length > self.max_body => {
                let limit = self.max_body;
                return Err(Refusal::BodyTooLong { limit });
            }
            length if self.is_buffered(length) => {
                let body = self.buffered(body).await?;
                let request = Request::from_parts(parts, Full::new(body));
                self.client.send_for(request, connection).await
            }
            _ => {
                let request = Request::from_parts(parts, body);
                self.client.send_for(request, connection).await
            }
        };
        result.map_err(Refusal::Exchange)
    }

    /// To an HTTP server, a packet is a malformed request.
    fn see_whether_it_speaks_uwsgi(&self, status: StatusCode, subject: &Subject) {
        if status != StatusCode::BAD_REQUEST {
            self.speaks_uwsgi.store(true, Ordering::Relaxed);
        } else if !self.speaks_uwsgi.load(Ordering::Relaxed) {
            subject.log_bad_request();
        }
    }

    fn is_buffered(&self, length: BodyLength) -> bool {
        match length {
            BodyLength::Absent => false,
            BodyLength::Known(length) => length > 0 && length <= self.buffered_body as u64,
            BodyLength::Unknown => self.buffered_body > 0,
        }
    }

    /// Receives a body to its end, which tells its length.
    async fn buffered(&self, body: Upload) -> Result<Bytes, Refusal> {
        let max_body = usize::try_from(self.max_body).unwrap_or(usize::MAX);
        let limit = self.buffered_body.min(max_body);
        match Limited::new(body, limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(Refusal::of_body(error, limit as u64)),
        }
    }
}

/// RFC 9112, 3.2: the target may name the host, but `Host` has to be there.
fn has_host(parts: &Parts) -> bool {
    parts.version < Version::HTTP_11 || parts.headers.contains_key(HOST)
}

/// RFC 9112, 6.1: hyper decodes the last coding, and knows only `chunked`.
fn has_known_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}
