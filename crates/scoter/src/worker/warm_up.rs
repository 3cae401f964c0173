//! The server's own first request, before a worker reports that it is ready.

use std::io::{self, IoSlice};
use std::sync::Arc;

use pyo3::prelude::*;
use uwsgi_codec::PacketBuilder;
use wsgi_environ::{
    Body, Completed, EnvironBuilder, Errors, Exchange, FailureCause, Input, Method, ObjectCache,
    Persistence, RequestId, RequestPath, ScriptName, Transport, reason_phrase, respond,
};

use crate::log;
use crate::python::child_exit;
use crate::python::traceback::traceback;
use crate::worker::mounts::given;
use crate::worker::slot::Service;

/// Sends the application of `path`, which is percent-encoded and may have a query, a GET for it.
///
/// # Errors
///
/// What is to be said where the application raises an exception, or answers with a status of
/// 500 or more.
pub(crate) fn warm_up(py: Python<'_>, service: &Service, path: &str) -> Result<(), String> {
    let python = |error: PyErr| format!("GET {path}{}", traceback(py, &error));
    let completed = request(py, service, path).map_err(python)?;
    let mut failures = String::new();
    for failure in &completed.failures {
        match &failure.cause {
            FailureCause::Exception { error, .. } => failures += &traceback(py, error),
            FailureCause::Violation(violation) => failures += &format!("\n{violation}"),
        }
    }
    let status = completed.status;
    if status >= 500 || !failures.is_empty() {
        let reason = reason_phrase(status);
        return Err(format!(
            "GET {path} was answered {status} {reason}{failures}"
        ));
    }
    Ok(())
}

fn request(py: Python<'_>, service: &Service, path: &str) -> PyResult<Completed> {
    let (encoded, query) = path.split_once('?').unwrap_or((path, ""));
    let port = service.server.server_port.to_string();
    let path_info = decode(encoded);
    let vars: [(&str, &[u8]); 12] = [
        ("REQUEST_METHOD", b"GET"),
        ("REQUEST_URI", path.as_bytes()),
        ("PATH_INFO", &path_info),
        ("QUERY_STRING", query.as_bytes()),
        ("SERVER_PROTOCOL", b"HTTP/1.1"),
        ("SERVER_NAME", service.server.server_name.as_bytes()),
        ("SERVER_PORT", port.as_bytes()),
        ("REMOTE_ADDR", b"127.0.0.1"),
        ("REMOTE_PORT", b"0"),
        ("CONTENT_LENGTH", b""),
        ("HTTP_HOST", b"localhost"),
        ("HTTP_USER_AGENT", b"scoter warm-up"),
    ];
    let mut packet = PacketBuilder::new();
    let packet = packet.vars(vars).and_then(|packet| packet.build());
    let packet = packet.map_err(io::Error::other)?;

    let log = |lines: &[u8]| log::application_lines(&String::from_utf8_lossy(lines));
    let errors = Bound::new(py, Errors::new(log))?;
    let mut builder = EnvironBuilder::new(py, &service.server, errors.clone().unbind())?;
    let input = Input::new(py, Body::empty())?;
    let (vars, id) = (packet.vars.as_ref(), RequestId::Made("warm-up"));
    let path = RequestPath {
        path_info: &path_info,
        ..RequestPath::default()
    };
    let mounts = service.mounts.as_ref();
    let mounted = mounts.and_then(|mounts| mounts.find(&path));
    let (application, script_name) = match &mounted {
        Some((application, mounted)) => (*application, given(mounted)),
        None => (&service.application, ScriptName::AsSent),
    };
    let environ = builder.build(py, vars, script_name, id, &input)?;
    Ok(respond(
        application.bind(py),
        Exchange {
            environ,
            input,
            errors,
            transport: Arc::new(Nowhere),
            method: Method::Other,
            persistence: Persistence::Close,
            on_return: child_exit::returned,
            out: Vec::new(),
            object_cache: &mut ObjectCache::default(),
        },
    ))
}

/// Decodes a path as nginx does for `PATH_INFO`.
fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, behind @ ..] = rest {
        let escape = behind.get(..2).filter(|_| *byte == b'%');
        let value = escape
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(value.unwrap_or(*byte));
        rest = if value.is_some() {
            &behind[2..]
        } else {
            behind
        };
    }
    decoded
}

/// A client that takes everything and keeps nothing.
struct Nowhere;

impl Transport for Nowhere {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn wait_writable(&self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn interrupt(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_decoded_once() {
        for (path, decoded) in [
            ("/health/", &b"/health/"[..]),
            ("/%C3%A9%2520", b"/\xc3\xa9%20"),
            ("/100%", b"/100%"),
            ("/%zz%+4%4", b"/%zz%+4%4"),
        ] {
            assert_eq!(decode(path), decoded, "{path}");
        }
    }
}
