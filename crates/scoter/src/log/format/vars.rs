use uwsgi_codec::VarsRef;

use super::escape::escape;

/// The vars that every format knows, found in one pass; empty ones count as absent.
#[derive(Debug, Default)]
pub(super) struct RequestVars<'a> {
    pub(super) remote_addr: Option<&'a [u8]>,
    pub(super) remote_user: Option<&'a [u8]>,
    pub(super) method: Option<&'a [u8]>,
    pub(super) uri: Option<&'a [u8]>,
    pub(super) path: Option<&'a [u8]>,
    pub(super) query: Option<&'a [u8]>,
    pub(super) protocol: Option<&'a [u8]>,
    pub(super) host: Option<&'a [u8]>,
    pub(super) referer: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) traceparent: Option<&'a [u8]>,
}

impl<'a> RequestVars<'a> {
    pub(super) fn of(vars: VarsRef<'a>) -> Self {
        let mut found = Self::default();
        for (key, value) in vars.iter() {
            let place = match key {
                b"REMOTE_ADDR" => &mut found.remote_addr,
                b"REMOTE_USER" => &mut found.remote_user,
                b"REQUEST_METHOD" => &mut found.method,
                b"REQUEST_URI" => &mut found.uri,
                b"PATH_INFO" => &mut found.path,
                b"QUERY_STRING" => &mut found.query,
                b"SERVER_PROTOCOL" => &mut found.protocol,
                b"HTTP_HOST" => &mut found.host,
                b"HTTP_REFERER" => &mut found.referer,
                b"HTTP_USER_AGENT" => &mut found.user_agent,
                b"HTTP_TRACEPARENT" => &mut found.traceparent,
                _ => continue,
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        found
    }

    /// Writes `GET /path?query HTTP/1.1`.
    pub(super) fn write_request(&self, line: &mut Vec<u8>) {
        escape(line, self.method);
        line.push(b' ');
        self.write_uri(line);
        line.push(b' ');
        escape(line, self.protocol);
    }

    /// Writes the URI as the client sent it, or else the path and the query.
    pub(super) fn write_uri(&self, line: &mut Vec<u8>) {
        if self.uri.is_some() {
            return escape(line, self.uri);
        }
        escape(line, self.path);
        if self.query.is_some() {
            line.push(b'?');
            escape(line, self.query);
        }
    }
}
