use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::ForwardedProto;
use super::role::Role;
use crate::text::from_latin1;

/// The names of variables as interned strings, so that an application's lookup
/// finds them by identity, and what each of them means.
///
/// Names are learned as they come, up to a bound: some versions of CPython never
/// free an interned string, and clients choose the names of headers.
#[derive(Debug)]
pub(super) struct InternedNames {
    known: HashMap<Box<[u8]>, (Py<PyString>, Role)>,
    bytes_left: usize,
    forwarded_proto: ForwardedProto,
}

impl InternedNames {
    pub(super) fn new(py: Python<'_>, forwarded_proto: ForwardedProto) -> Self {
        let mut names = Self {
            known: HashMap::with_capacity(COMMON_NAMES.len() * 2),
            bytes_left: MAX_NAME_BYTES,
            forwarded_proto,
        };
        for name in COMMON_NAMES {
            names.learn(py, name);
        }
        names
    }

    pub(super) fn get<'py>(
        &mut self,
        py: Python<'py>,
        key: &[u8],
    ) -> PyResult<(Bound<'py, PyString>, Role)> {
        if let Some((name, role)) = self.known.get(key) {
            return Ok((name.bind(py).clone(), *role));
        }
        match std::str::from_utf8(key) {
            Ok(name) if name.is_ascii() && self.has_room_for(name) => Ok(self.learn(py, name)),
            _ => Ok((from_latin1(py, key)?, Role::of(key, self.forwarded_proto))),
        }
    }

    fn has_room_for(&self, name: &str) -> bool {
        self.known.len() < MAX_NAMES && name.len() <= self.bytes_left
    }

    fn learn<'py>(&mut self, py: Python<'py>, name: &str) -> (Bound<'py, PyString>, Role) {
        let interned = PyString::intern(py, name);
        let role = Role::of(name.as_bytes(), self.forwarded_proto);
        self.bytes_left = self.bytes_left.saturating_sub(name.len());
        self.known
            .insert(name.as_bytes().into(), (interned.clone().unbind(), role));
        (interned, role)
    }
}

/// The most names that are known, including those below.
const MAX_NAMES: usize = 512;

/// How many bytes they have at most.
const MAX_NAME_BYTES: usize = 16 * 1024;

/// The names in every packet and those that browsers send, which are known before a client can fill
/// the table with others.
const COMMON_NAMES: &[&str] = &[
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "DOCUMENT_ROOT",
    "DOCUMENT_URI",
    "HTTPS",
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_AUTHORIZATION",
    "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION",
    "HTTP_COOKIE",
    "HTTP_DNT",
    "HTTP_HOST",
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_ORIGIN",
    "HTTP_PRAGMA",
    "HTTP_PRIORITY",
    "HTTP_RANGE",
    "HTTP_REFERER",
    "HTTP_SEC_CH_UA",
    "HTTP_SEC_CH_UA_MOBILE",
    "HTTP_SEC_CH_UA_PLATFORM",
    "HTTP_SEC_FETCH_DEST",
    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_USER",
    "HTTP_TRACEPARENT",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
    "HTTP_USER_AGENT",
    "HTTP_X_CSRFTOKEN",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_X_REQUESTED_WITH",
    "HTTP_X_REQUEST_ID",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "UWSGI_SCHEME",
];
