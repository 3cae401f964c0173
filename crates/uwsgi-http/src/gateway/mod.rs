//! HTTP in front of a uwsgi server.
//!
//! A [`Gateway`] is what nginx with `uwsgi_pass` is, for development, tests and small
//! installations: HTTP/1.1, no TLS, no files, no cache. It streams in both directions and
//! holds no more of a body than a few buffers.
//!
//! # Slow clients
//!
//! nginx receives a whole upload before it asks the server, and buffers responses; the
//! gateway does not. So a slow client occupies a worker of the server for as long as its
//! upload and its download take, and [`Gateway::with_client_timeout`] limits only the time
//! between two parts: do not put the gateway in front of few workers on the open internet.
//! [`Gateway::with_buffered_body`] receives uploads up to a length first. Nothing buffers
//! responses.
//!
//! # The edge
//!
//! The gateway takes itself for the first server that a client's request meets.
//! `REMOTE_ADDR` is the address of whoever has connected, empty on a Unix socket.
//! `X-Forwarded-For` and other headers of that kind are passed on as any header is, as
//! nginx does by itself: a client can write them, so an application must not trust them
//! unless a proxy in front of the gateway sets them.
//!
//! # What it answers itself
//!
//! | status | when |
//! |---|---|
//! | 400 | malformed requests: RFC 9112, and what [`RequestMapping`](uwsgi_codec::http::RequestMapping) refuses; no `Host` in HTTP/1.1 |
//! | 404 | a path outside `SCRIPT_NAME` |
//! | 405 | `CONNECT` |
//! | 408 | a body that does not come: [`Gateway::with_client_timeout`] |
//! | 411 | a chunked body, without [`Gateway::with_buffered_body`]: uwsgi needs its length |
//! | 413 | a longer body than [`Gateway::with_max_body`], or a chunked one than can be buffered |
//! | 431 | a longer head than [`Gateway::with_max_head`], or one that does not fit in a packet |
//! | 501 | a transfer coding other than `chunked` |
//! | 502 | the server cannot be reached, closes without a reply, or does not send one |
//! | 504 | the server takes longer than the client's [`Timeouts`](crate::client::Timeouts) |
//!
//! Each is logged by [`tracing`]: 411 and what the server has caused as a warning, the rest
//! at the level `debug`. A 400 of a server that has answered nothing else yet is a warning,
//! too: it may speak HTTP. If a reply is cut short, the connection to the client is closed
//! so that the client sees that it is incomplete; with HTTP/1.0, where the end of the
//! connection may end a response, it is reset (TCP only).
//!
//! Of a request with both `Transfer-Encoding` and `Content-Length`, hyper drops the
//! length, and closes the connection after the response (RFC 9112, 6.3).
//!
//! 1xx replies are not passed on. `Expect: 100-continue` is answered by the gateway once
//! it has connected to the server, or at once if it buffers the body; a refused request has
//! no 100.

mod activity;
mod download;
mod listener;
mod refusal;
mod request;
mod send_limit;
mod serve;
mod upload;

pub use self::listener::Listener;
pub use self::serve::Gateway;
