//! The head of a request: its packet, and the variables that the server itself reads.

mod index;
mod missing_clock;
mod missing_vars;
mod request_id;
mod request_start;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use uwsgi_codec::{ContentLength, ContentLengthError, DecodeError, Limits, Packet, VarsRef};
use wsgi_environ::Method;

use self::index::Index;
use self::request_start::time_since_epoch;
use crate::sys::clock::since_epoch;

pub(crate) use self::missing_clock::warn_of_missing_clock;
pub(crate) use self::missing_vars::MissingVars;
pub(crate) use self::request_id::{RequestId, RequestIds};

/// A decoded packet, and where its variables are.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) packet: Packet,
    pub(crate) request_id: RequestId,
    index: Index,
    length: Result<u64, ContentLengthError>,
}

/// A variable whose position is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param {
    /// `HTTP_HOST`
    Host,
    /// `UWSGI_KEEP_CONN`
    KeepConn,
    /// `REQUEST_METHOD`
    Method,
    /// `PATH_INFO`
    Path,
    /// `SERVER_PROTOCOL`
    Protocol,
    /// `QUERY_STRING`
    Query,
    /// `HTTP_REFERER`
    Referer,
    /// `REMOTE_ADDR`
    RemoteAddr,
    /// `REMOTE_USER`
    RemoteUser,
    /// `HTTP_X_REQUEST_ID`
    RequestId,
    /// `HTTP_X_REQUEST_START`
    RequestStart,
    /// `HTTP_TRACEPARENT`
    Traceparent,
    /// `REQUEST_URI`
    Uri,
    /// `HTTP_USER_AGENT`; it must be last, because it determines their number.
    UserAgent,
}

impl Param {
    const COUNT: usize = Self::UserAgent as usize + 1;
}

impl RequestHead {
    /// Decodes a packet from the front of `buffer`; `None` if it is not complete yet. If it has no
    /// request ID, `ids` generates one.
    ///
    /// # Errors
    ///
    /// As [`Packet::decode`].
    pub(crate) fn decode(
        buffer: &mut BytesMut,
        limits: &Limits,
        ids: &RequestIds,
    ) -> Result<Option<Arc<Self>>, DecodeError> {
        let mut index = Index::default();
        let mut length = Ok(ContentLength::default());
        let packet = Packet::decode_with(buffer, limits, |var| match &mut length {
            Ok(so_far) if var.key == b"CONTENT_LENGTH" => {
                if let Err(error) = so_far.note(var.value) {
                    length = Err(error);
                }
            }
            _ => index.note(var),
        })?;
        Ok(packet.map(|packet| {
            // Allocated here, so that only a pointer is passed on.
            Arc::new(Self {
                request_id: ids.of(&packet.vars, index.value(Param::RequestId, &packet.vars)),
                packet,
                index,
                length: length.map(|length| length.get().unwrap_or(0)),
            })
        }))
    }

    pub(crate) fn vars(&self) -> VarsRef<'_> {
        self.packet.vars.as_ref()
    }

    /// Whether a variable is there, and not empty.
    pub(crate) fn has(&self, param: Param) -> bool {
        self.index.has(param)
    }

    /// A variable, unless it is absent or empty.
    pub(crate) fn param(&self, param: Param) -> Option<&[u8]> {
        self.index.value(param, &self.packet.vars)
    }

    /// The length of the body, in bytes.
    ///
    /// # Errors
    ///
    /// Those of `CONTENT_LENGTH`.
    pub(crate) fn content_length(&self) -> Result<u64, ContentLengthError> {
        self.length.clone()
    }

    /// Whether the method, or what is asked about the connection, is there twice with different
    /// values. For the length that is an error.
    pub(crate) fn contradicts_itself(&self) -> bool {
        let method = self.param(Param::Method).unwrap_or_default();
        let asked = self.param(Param::KeepConn).unwrap_or_default();
        self.vars().iter().any(|(key, value)| match key {
            b"REQUEST_METHOD" => value != method,
            b"UWSGI_KEEP_CONN" => value != asked,
            _ => false,
        })
    }

    /// The method for the log.
    pub(crate) fn method_text(&self) -> String {
        text(self.param(Param::Method))
    }

    /// The URI for the log.
    pub(crate) fn uri_text(&self) -> String {
        text(self.uri())
    }

    /// The method, as far as it affects the response.
    pub(crate) fn kind(&self) -> Method {
        Method::named(self.param(Param::Method).unwrap_or_default())
    }

    /// The URI as the client wrote it, or else the path.
    pub(crate) fn uri(&self) -> Option<&[u8]> {
        self.param(Param::Uri).or_else(|| self.param(Param::Path))
    }

    /// The query that belongs after [`uri`](Self::uri), if that is only the path.
    pub(crate) fn query_apart(&self) -> Option<&[u8]> {
        match self.param(Param::Uri) {
            Some(_) => None,
            None => self.param(Param::Query),
        }
    }

    /// How long ago the front end forwarded the request, if its value is plausible:
    /// `HTTP_X_REQUEST_START`, as nginx-conf sends it.
    pub(crate) fn front_end_age(&self) -> Option<Duration> {
        let request_start = time_since_epoch(self.param(Param::RequestStart)?)?;
        let age = since_epoch().checked_sub(request_start);
        age.filter(|age| *age <= MAX_START_AGE)
    }
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// No request waits longer: nginx gives up after `uwsgi_read_timeout`, 60 s by default. A greater
/// age means a wrong clock or a forged header.
pub(crate) const MAX_START_AGE: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
impl RequestHead {
    /// A request with these variables.
    pub(crate) fn of<K, V>(vars: impl IntoIterator<Item = (K, V)>) -> Arc<Self>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut packet = uwsgi_codec::PacketBuilder::new();
        packet.vars(vars).unwrap();
        let mut wire = BytesMut::from(&*packet.to_vec().unwrap());
        Self::decode(&mut wire, &Limits::default(), &RequestIds::new().unwrap())
            .unwrap()
            .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_minutes_are_believed() {
        let now = since_epoch();
        let age = |seconds: i64| {
            let start = now.as_secs().checked_add_signed(-seconds).unwrap();
            let text = format!("t={start}.000");
            RequestHead::of([("HTTP_X_REQUEST_START", text)]).front_end_age()
        };
        let seen = age(90).unwrap();
        assert!(
            seen >= Duration::from_secs(90) && seen < Duration::from_secs(92),
            "{seen:?}"
        );
        assert_eq!(age(-60), None, "the future");
        assert!(age(590).is_some());
        assert_eq!(age(610), None, "more than ten minutes ago");
        assert_eq!(age(3_600), None, "an hour ago");
        assert_eq!(RequestHead::of([("A", "b")]).front_end_age(), None);
    }

    #[test]
    fn last_of_repeated_variables_counts_and_the_path_stands_in_for_the_uri() {
        let head = RequestHead::of([
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/path"),
            ("REQUEST_METHOD", "HEAD"),
        ]);
        assert_eq!(head.kind(), Method::Head);
        assert_eq!(head.uri(), Some(&b"/path"[..]));
    }
}
