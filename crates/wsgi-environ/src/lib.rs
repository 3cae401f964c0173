//! PEP 3333 between the uwsgi protocol and a Python application.
//!
//! [`EnvironBuilder`] builds the `environ` from the variables that
//! [`uwsgi_codec`] decoded, or from any pairs. [`Input`], [`Errors`], [`StartResponse`],
//! [`Write`] and [`FileWrapper`] are the objects that an application uses.
//! [`respond`] calls the application and iterates over what it returns. The
//! remaining work is returned as [`Completed`]: bytes to send, how the connection
//! must end, and what to log.
//!
//! This crate uses no sockets, tasks or clocks. The server implements
//! [`Transport`] and acts on the [`Completed`]. Mistakes of a client or an
//! application become values or exceptions, never panics. The objects are safe for
//! CPython without the GIL: no lock is held while a thread waits, attaches to the
//! interpreter or runs Python code.
//!
//! # Examples
//!
//! `examples/gateway.rs` is a server of HTTP/1.1. Here is one request, over a connection that
//! accepts everything at once:
//!
//! ```
//! use std::io::{self, IoSlice};
//! use std::sync::Arc;
//!
//! use pyo3::prelude::*;
//! use uwsgi_codec::{Limits, VarsRef};
//! use wsgi_environ::{
//!     Body, EnvironBuilder, Errors, Exchange, ForwardedProto, Input, Method, ObjectCache,
//!     Persistence, RequestId, ScriptName, ServerInfo, Transport, respond,
//! };
//!
//! struct Connection;
//!
//! impl Transport for Connection {
//!     fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
//!         Ok(parts.iter().map(|part| part.len()).sum())
//!     }
//!     fn wait_writable(&self) -> io::Result<()> {
//!         Ok(())
//!     }
//!     fn recv(&self, _: &mut [u8]) -> io::Result<usize> {
//!         Ok(0)
//!     }
//!     fn interrupt(&self) {}
//! }
//!
//! # fn main() -> PyResult<()> {
//! let block = b"\x0e\x00REQUEST_METHOD\x03\x00GET\x09\x00PATH_INFO\x05\x00/tea/";
//! let vars = VarsRef::decode(block, &Limits::default()).expect("written by hand");
//!
//! let completed = Python::attach(|py| {
//!     let application = PyModule::from_code(py, c"
//! def application(environ, start_response):
//!     start_response('418 Teapot', [('Content-Type', 'text/plain')])
//!     return [environ['PATH_INFO'].encode('latin-1')]
//! ", c"teapot.py", c"teapot")?.getattr("application")?;
//!
//!     let server = ServerInfo {
//!         multithread: true,
//!         multiprocess: false,
//!         server_name: "localhost".to_owned(),
//!         server_port: 80,
//!         forwarded_proto: ForwardedProto::Ignore,
//!     };
//!     let errors = Bound::new(py, Errors::new(|lines| assert!(lines.ends_with(b"\n"))))?;
//!     let mut builder = EnvironBuilder::new(py, &server, errors.clone().unbind())?;
//!
//!     let input = Input::new(py, Body::empty())?;
//!     let environ = builder.build(py, vars, ScriptName::AsSent, RequestId::Sent, &input)?;
//!     PyResult::Ok(respond(&application, Exchange {
//!         environ,
//!         input,
//!         errors,
//!         transport: Arc::new(Connection),
//!         method: Method::of(vars),
//!         persistence: Persistence::Close,
//!         on_return: |_, _| {},
//!         out: Vec::new(),
//!         object_cache: &mut ObjectCache::default(),
//!     }))
//! })?;
//!
//! assert_eq!(completed.status, 418);
//! assert_eq!(
//!     completed.tail.out,
//!     b"HTTP/1.1 418 Teapot\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n/tea/"
//! );
//! # Ok(())
//! # }
//! ```
#![warn(missing_debug_implementations)]

mod build_error;
mod checkout;
mod completed;
mod environ;
mod errors;
mod fd;
mod file_wrapper;
mod head;
mod input;
mod mounts;
mod object_cache;
mod outcome;
mod persistence;
mod plain_response;
mod reason;
mod request;
mod respond;
mod response;
mod response_head;
mod start_response;
mod text;
mod transport;
mod vectored_send;

pub use crate::build_error::BuildError;
pub use crate::completed::{
    ApplicationFailure, ApplicationStage, Completed, Correction, FailureCause, FailureOrigin,
    HeadState, RemainingBody, ResponseAuthor, ResponseEnd, ResponseTail, Violation,
};
pub use crate::environ::{
    EnvironBuilder, ForwardedProto, Repeated, RequestId, ScriptName, ServerInfo, url_scheme,
};
pub use crate::errors::Errors;
pub use crate::file_wrapper::FileWrapper;
pub use crate::input::{Body, Input, InputEnd, InputFailure};
pub use crate::mounts::{MountPoints, Mounted, RequestPath};
pub use crate::object_cache::ObjectCache;
pub use crate::persistence::Persistence;
pub use crate::plain_response::write_plain_response;
pub use crate::reason::reason_phrase;
pub use crate::request::Method;
pub use crate::respond::{Exchange, respond};
pub use crate::response_head::ResponseHead;
pub use crate::start_response::{StartResponse, Write};
pub use crate::transport::Transport;
