use super::ForwardedProto;
use super::repetition_rules::Repeated;

/// What a variable of the packet means for the environ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Passed on unchanged.
    Plain,
    /// Passed on, and joined if it is repeated.
    List,
    /// Passed on, but never empty.
    Required(Required),
    /// Passed on, and used for `wsgi.url_scheme`.
    Scheme,
    /// Passed on, and may be the ID of the request.
    RequestId,
    /// Passed on as a pair: see [`paths`](fn@super::path::paths).
    ScriptName,
    /// The other one of the pair.
    PathInfo,
    /// Passed on only if there is no Content-Length.
    TransferEncoding,
    /// Left out.
    Ignored,
}

/// The variables that, by PEP 3333, "can never be empty strings, and so are
/// always required".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Required {
    RequestMethod,
    ServerName,
    ServerPort,
    ServerProtocol,
}

impl Role {
    pub(super) fn of(key: &[u8], forwarded_proto: ForwardedProto) -> Self {
        match key {
            b"REQUEST_METHOD" => Self::Required(Required::RequestMethod),
            b"SERVER_NAME" => Self::Required(Required::ServerName),
            b"SERVER_PORT" => Self::Required(Required::ServerPort),
            b"SERVER_PROTOCOL" => Self::Required(Required::ServerProtocol),
            b"SCRIPT_NAME" => Self::ScriptName,
            b"PATH_INFO" => Self::PathInfo,
            b"UWSGI_SCHEME" | b"HTTPS" | b"REQUEST_SCHEME" => Self::Scheme,
            b"HTTP_X_FORWARDED_PROTO" if forwarded_proto == ForwardedProto::Trust => Self::Scheme,
            b"HTTP_X_REQUEST_ID" => Self::RequestId,
            // httpoxy, CVE-2016-5385: a client's `Proxy` header would be mistaken for the variable
            // that configures HTTP clients.
            b"HTTP_PROXY" => Self::Ignored,
            // nginx sends them besides CONTENT_LENGTH and CONTENT_TYPE. PEP 3333
            // knows only those.
            b"HTTP_CONTENT_LENGTH" | b"HTTP_CONTENT_TYPE" => Self::Ignored,
            // nginx has removed the chunks and passes on the header that
            // announced them.
            b"HTTP_TRANSFER_ENCODING" => Self::TransferEncoding,
            // The server's own.
            b"scoter.request_id" => Self::Ignored,
            _ if key.starts_with(b"wsgi.") => Self::Ignored,
            _ => match Repeated::of(key) {
                Repeated::Joined(_) => Self::List,
                Repeated::Last => Self::Plain,
            },
        }
    }
}
