//! A tower service behind a front end that speaks uwsgi: an axum application that nginx
//! reaches with `uwsgi_pass`. Feature `server`.
//!
//! [`Server`] serves what implements `tower_service::Service` for requests with a
//! [`RequestBody`], and responds with any `http_body::Body`. That is every axum `Router`,
//! with all its middleware. `examples/axum.rs` is a complete application, the
//! [front page](crate) has what nginx needs.
//!
//! # Who the client is
//!
//! The peer is nginx; what it says about its client is in the request's extensions, as a
//! [`RequestContext`](uwsgi_codec::http::RequestContext): the client's address and port,
//! the scheme, `SCRIPT_NAME`, and all variables, a site's own among them. In axum that is
//! an extractor, and does what `ConnectInfo` does elsewhere:
//!
//! ```
//! use axum::Extension;
//! use uwsgi_http::uwsgi_codec::http::{RequestContext, Scheme};
//!
//! async fn page(Extension(context): Extension<RequestContext>) -> String {
//!     // "unix:", where nginx itself listens on a Unix socket, is no address.
//!     let client = context.connection.remote_addr;
//!     let is_encrypted = context.connection.scheme == Scheme::Https;
//!     // uwsgi_param REMOTE_USER $remote_user;
//!     let user = context.vars.get("REMOTE_USER");
//!     format!("{client:?} {is_encrypted} {user:?}")
//! }
//! # let _ = axum::Router::<()>::new().route("/", axum::routing::get(page));
//! ```
//!
//! # What happens
//!
//! | when | then |
//! |---|---|
//! | a request comes | the service is cloned, polled until it is ready, and called |
//! | the service does not read the body | nothing is read of the connection, but for 64 KiB at most that came with the packet: nginx, and behind it the client, wait |
//! | the service drops the body | the rest is received and discarded |
//! | the body stops, or is cut short | it ends with a [`BodyError`] that has both lengths |
//! | the response's body has a known size | it becomes the `Content-Length`, unless the service has set one |
//! | the response's body has a next piece | it leaves at once; the next one is asked for when it has left |
//! | the response is to `HEAD`, or a 204 or 304 | its body is not asked for |
//! | the body is longer than its `Content-Length` | the rest is not sent; an error is logged |
//! | the body is shorter, fails, or panics | the connection ends early, with a reset on TCP; an error is logged |
//! | the client leaves | the service's future, or the response's body, is dropped |
//! | the service fails | 500; 503 if it fails to become ready; an error is logged |
//! | the service panics | 500; an error is logged; other requests go on |
//! | a ping comes (`modifier1` 100) | it is answered, without the service, and the connection closed |
//! | the packet is for another language or service (`modifier1` neither 0 nor 30) | 400; a warning is logged |
//! | the packet is malformed | 400, or 431 beyond a limit; a warning says what is wrong, and where |
//! | trailers, `Transfer-Encoding`, `Connection` and the like in a response | are left out: uwsgi has no place for them |
//! | 1xx in a response, 101 among them | 500: nginx takes it for the final response. WebSockets need `proxy_pass` |
//!
//! # Cut responses
//!
//! nginx knows that a response is incomplete if its `Content-Length` is not met, or if
//! the connection is reset. A Unix socket has no reset: a body without a length that
//! fails there looks complete. So give a body its length if you know it, or an end that
//! its reader recognises.
//!
//! # Clients that leave
//!
//! On a Unix socket a peer that has closed its connection is told apart from one that has
//! shut down its own direction and waits for the response (`EPOLLHUP` and `EPOLLRDHUP`).
//! On TCP they look alike until something is sent: see [`HalfClose`]. What a service
//! must finish whoever waits for it belongs in a task of its own (`tokio::spawn`).
//!
//! nginx closes its connection when its client leaves, unless `uwsgi_ignore_client_abort`
//! is on.
//!
//! # Keeping connections
//!
//! nginx closes its connection after each response, unless it has a module that asks to
//! keep it. The server agrees as uwsgi-codec's `KEEPALIVE.md` demands, within the limits
//! of [`KeepAlive`].
//!
//! # Log
//!
//! The server logs with `tracing`: with level `ERROR` what the service did wrong and what
//! keeps it from accepting connections, with `WARN` what was wrong with a request, with
//! `DEBUG` clients that left. No message has headers or bodies, or the query of a URI.

mod causes;
mod connection;
mod deadline;
mod exchange;
mod listener;
mod reply;
mod request_body;
mod sending;
mod serve;
mod settings;
mod socket;
mod wire;

pub use self::listener::Listener;
pub use self::request_body::{BodyError, RequestBody};
pub use self::serve::Server;
pub use self::settings::{HalfClose, KeepAlive};

/// An error of a service or of a response's body, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
