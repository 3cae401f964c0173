use std::io::ErrorKind;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::{Full, LengthLimitError};
use tracing::{debug, warn};

use super::serve::lacks_descriptors;
use super::upload::UploadTimeout;
use crate::Address;
use crate::causes::Causes;
use crate::client::{ClientError, Wait};

/// A request, as the log names it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) server: Address,
    pub(super) method: Method,
    pub(super) path: String,
}

/// Why a request is answered by the gateway itself.
#[derive(Debug)]
pub(super) enum Refusal {
    /// HTTP/1.1 without `Host`: RFC 9112, 3.2.
    NoHost,
    /// Another transfer coding than `chunked`: RFC 9112, 6.1.
    TransferCoding,
    /// The body is announced to be too long, or turned out to be.
    BodyTooLong { limit: u64 },
    /// The client, or whatever is between, has failed to send its body.
    Body(crate::BoxError),
    /// Of the exchange with the server, or of a request that cannot be sent to it.
    Exchange(ClientError),
}

impl Refusal {
    /// An error of a body of which at most `limit` bytes were wanted.
    pub(super) fn of_body(error: crate::BoxError, limit: u64) -> Self {
        match error.is::<LengthLimitError>() {
            true => Self::BodyTooLong { limit },
            false => Self::Body(error),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(error) | Self::Exchange(ClientError::RequestBody(error)) => {
                match error.is::<UploadTimeout>() {
                    true => StatusCode::REQUEST_TIMEOUT,
                    false => StatusCode::BAD_REQUEST,
                }
            }
            Self::Exchange(error) => error.http_status(),
        }
    }

    /// What the client is told. Nothing of what is behind the gateway.
    fn text(&self) -> String {
        match self {
            Self::NoHost => "The request has no Host header.".to_owned(),
            Self::TransferCoding => {
                "The request has a transfer coding other than chunked.".to_owned()
            }
            Self::BodyTooLong { limit } => {
                format!("The body of the request is longer than {limit} bytes.")
            }
            Self::Body(error) | Self::Exchange(ClientError::RequestBody(error)) => {
                format!("The body of the request could not be received: {error}.")
            }
            Self::Exchange(ClientError::Request(error)) => format!("Not possible: {error}."),
            Self::Exchange(ClientError::Encode(_)) => "The request is too large.".to_owned(),
            Self::Exchange(ClientError::Timeout { .. }) => {
                "The server behind this gateway took too long.".to_owned()
            }
            Self::Exchange(ClientError::RequestBodyLength { .. }) => {
                "The body of the request does not have the announced length.".to_owned()
            }
            Self::Exchange(
                ClientError::HeadCutShort { .. }
                | ClientError::Head(_)
                | ClientError::Tunnel { .. },
            ) => "The server behind this gateway has sent no valid response.".to_owned(),
            Self::Exchange(_) => "The server behind this gateway has not answered.".to_owned(),
        }
    }
}

impl Subject {
    /// Logs a refusal and makes its response.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let status = refusal.status();
        let (server, method, path) = (&self.server, &self.method, &self.path);
        let code = status.as_u16();
        match refusal {
            Refusal::Exchange(error) if status.is_server_error() => {
                let advice = advice(error);
                warn!(%server, %method, path, status = code, error = %Causes(error), advice, "request failed");
            }
            Refusal::Exchange(error) if status == StatusCode::LENGTH_REQUIRED => {
                let advice = "allow to hold chunked bodies in memory: Gateway::with_buffered_body, \
                    or uwsgi-gateway --buffered-body";
                warn!(%method, path, status = code, error = %Causes(error), advice, "request refused");
            }
            Refusal::Exchange(error) => {
                debug!(%method, path, status = code, error = %Causes(error), "request refused");
            }
            Refusal::NoHost
            | Refusal::TransferCoding
            | Refusal::BodyTooLong { .. }
            | Refusal::Body(_) => {
                let error = refusal.text();
                debug!(%method, path, status = code, error, "request refused");
            }
        }
        let text = format!("{status}\n\n{}\n", refusal.text());
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }

    /// Logs a 400 that may be all that the server answers.
    pub(super) fn log_bad_request(&self) {
        let (server, method, path) = (&self.server, &self.method, &self.path);
        let advice = "if it answers so each time, it speaks HTTP and not uwsgi: it needs no \
            gateway, or in nginx proxy_pass";
        warn!(%server, %method, path, status = 400, advice, "the server takes the request for malformed");
    }

    /// Logs that a body is not passed on to its end.
    pub(super) fn log_cut(&self, error: &ClientError) {
        let (server, method, path) = (&self.server, &self.method, &self.path);
        match error {
            ClientError::RequestBody(_) => {
                debug!(%method, path, error = %Causes(error), "client left")
            }
            _ => {
                let advice = advice(error);
                warn!(%server, %method, path, error = %Causes(error), advice, "response cut short");
            }
        }
    }
}

/// What an operator can do.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Connect { error, .. } => match error.kind() {
            ErrorKind::PermissionDenied => {
                "the gateway needs write permission on the socket, and search permission on its \
                 directories"
            }
            _ if lacks_descriptors(error) => {
                "raise the limit of open files (ulimit -n), or lower the maximum of connections"
            }
            _ => "start the server, or correct its address",
        },
        ClientError::Timeout {
            wait: Wait::Connect,
            ..
        } => "the server does not accept connections: see whether it has enough workers",
        ClientError::Timeout { .. } => {
            "see what the server does with this request, or allow more time"
        }
        ClientError::NoReply { .. } | ClientError::HeadCutShort { .. } => {
            "see the server's log: it has crashed, or does not speak uwsgi at this address"
        }
        ClientError::Head(_) => "see whether the server speaks uwsgi at this address",
        ClientError::Tunnel { .. } => "WebSockets need a server that speaks HTTP",
        _ => "see the server's log",
    }
}
