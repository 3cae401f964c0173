//! A tower service behind a front end that speaks uwsgi: an axum application that nginx
//! reaches with `uwsgi_pass`. Feature `server`.
//!
//! [`Server`] serves what implements `tower_service::Service` for requests with a
//! [`RequestBody`], and responds with any `http_body::Body`. That is every axum `Router`,
//! with all its middleware. The [front page](crate) has a complete application,
//! `examples/axum.rs` one that streams. In nginx's `server` block:
//!
//! ```nginx
//! location / {
//!     include    uwsgi_params;
//!     uwsgi_pass unix:/run/app/app.sock;
//! }
//! ```
//!
//! nginx must be able to write to the socket, and to search the directories above it.
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
//! # Below a prefix
//!
//! The URI of a request is the client's, whole: in `location /shop` the router sees
//! `/shop/cart`, so use `Router::nest("/shop", …)`. That is the same with
//! `uwsgi_param SCRIPT_NAME /shop;`, which says what the application is mounted at:
//! [`RequestContext`](uwsgi_codec::http::RequestContext) has both parts of the path.
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
//! # Bodies that stop
//!
//! An upload that stops ends with [`BodyError::TimedOut`], for which HTTP has 408. axum's
//! extractors (`Bytes`, `Json`, …) answer every failed body with 400, and collect the body,
//! up to 2 MB (`DefaultBodyLimit`). A handler that takes the `Body` streams an upload of
//! any length, and finds the error in that of axum:
//!
//! ```
//! use axum::body::{Body, Bytes};
//! use axum::http::StatusCode;
//! use http_body_util::BodyExt;
//! use uwsgi_http::server::BodyError;
//!
//! async fn upload(mut body: Body) -> Result<String, StatusCode> {
//!     let mut count = 0;
//!     while let Some(frame) = body.frame().await {
//!         let frame = frame.map_err(status)?;
//!         count += frame.data_ref().map_or(0, Bytes::len);
//!     }
//!     Ok(format!("{count} bytes\n"))
//! }
//!
//! fn status(error: axum::Error) -> StatusCode {
//!     match error.into_inner().downcast_ref() {
//!         Some(BodyError::TimedOut { .. }) => StatusCode::REQUEST_TIMEOUT,
//!         _ => StatusCode::BAD_REQUEST,
//!     }
//! }
//! # let _ = axum::Router::<()>::new().route("/upload", axum::routing::post(upload));
//! ```
//!
//! # Clients that leave
//!
//! On a Unix socket a peer that has closed its connection is told apart from one that has
//! shut down its own direction and waits for the response (`EPOLLHUP` and `EPOLLRDHUP`).
//! On TCP they look alike until something is sent: behind nginx or `uwsgi-gateway` set
//! [`HalfClose::Drop`], or the server notices that a client has left only when it sends.
//! What a service must finish whoever waits for it belongs in a task of its own
//! (`tokio::spawn`).
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
//! # Restarts
//!
//! A server that stops closes its listener first. Until another process listens nginx
//! cannot connect, and answers 502. There are two ways around it:
//!
//! - systemd owns the socket (a `.socket` unit) and passes it on as descriptor 3. It stays
//!   open over a restart, and connections wait in its backlog.
//! - The new process takes the place of the old one before that stops: it binds another
//!   name and renames it. Which process gets a connection is decided by the name, in one
//!   step; the old one still answers all that it has got. Then stop it.
//!
//! ```no_run
//! use std::fs;
//! use tokio::net::UnixListener;
//!
//! # async fn run() -> std::io::Result<()> {
//! let _ = fs::remove_file("/run/app/next.sock");
//! let listener = UnixListener::bind("/run/app/next.sock")?;
//! // Here its permissions, as nginx needs them.
//! fs::rename("/run/app/next.sock", "/run/app/app.sock")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Log
//!
//! The server logs with `tracing`: with level `ERROR` what the service did wrong and what
//! keeps it from accepting connections, with `WARN` what was wrong with a request, with
//! `DEBUG` clients that left. No message has headers or bodies, or the query of a URI.

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

use crate::BoxError;
