//! HTTP on both sides of a uwsgi connection: requests of the crate [`http`] to
//! variables and back, and the heads of replies. Feature `http`.
//!
//! A front end maps a request with a [`RequestMapping`] and reads what comes back with
//! [`ReplyHead::parse`]. A server makes a request of variables with [`from_vars`] and
//! answers with [`ReplyHead::new`]. Nothing here does I/O.
//!
//! What is mapped there and back is the same or refused. The same means: with its path
//! without dot segments, its host in `Host`, repeated headers joined, and without the
//! headers that are not passed on.
//!
//! # How a request is mapped
//!
//! | what | becomes | because |
//! |---|---|---|
//! | target `/a%20b?q` | `REQUEST_URI` and `QUERY_STRING` as sent, `PATH_INFO` decoded | nginx, RFC 3875, 4.1.5 and 4.1.7 |
//! | `.` and `..` in a path, encoded or not | resolved in `PATH_INFO`; above the root an error | nginx; `REQUEST_URI` keeps them |
//! | `//` | stays | RFC 3986; nginx with `merge_slashes off` |
//! | `%00`, a `%` without two digits | an error | nginx answers 400 |
//! | `http://host/path` | `/path`; the host counts, whatever `Host` says | RFC 9112, 3.2.2 |
//! | `OPTIONS *` | `REQUEST_URI` `*`, `PATH_INFO` empty | RFC 3875: a path begins with a slash |
//! | `CONNECT` | an error: 405 | nginx |
//! | `:authority` without `Host` | `HTTP_HOST` | RFC 9113, 8.3.1; if both differ, an error |
//! | two `Host`; user information in it | an error | RFC 9112, 3.2; RFC 9110, 4.2.4 |
//! | `Content-Type`, `Content-Length` | `CONTENT_TYPE`, `CONTENT_LENGTH`, and no `HTTP_CONTENT_…` | RFC 3875, 4.1.18 |
//! | no body | `CONTENT_LENGTH` as [`AbsentBody`] says | front ends differ |
//! | lengths that differ, or with `Transfer-Encoding` | an error | RFC 9112, 6.3 |
//! | a body of unknown length | an error: 411 | Apache; uwsgi has no framing |
//! | `Connection` and what it names, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade` | left out | RFC 9110, 7.6.1; front ends send them |
//! | `Proxy` | left out | CVE-2016-5385: it would be `HTTP_PROXY` |
//! | `Proxy-Authorization` | left out | RFC 9110, 11.7.2 |
//! | a name with `_`, `.` or other signs | as [`UnsafeNames`] says | nginx, Apache: it would be another header's variable |
//! | repeated headers | as [`Repeated`] says; `Cookie` joined by `; ` | RFC 9110, 5.3; RFC 9113, 8.2.3 |
//! | repeated `Authorization`, `Content-Range`, `Content-Type`, `Expect`, `If-Modified-Since`, `If-Range`, `If-Unmodified-Since` | an error | nginx: a list of them has no meaning |
//! | bytes of a value | as they are, UTF-8 or not | RFC 9110, 5.5 |
//!
//! # And back
//!
//! | what | becomes |
//! |---|---|
//! | `REQUEST_URI` | the URI as it is, if it means the path `SCRIPT_NAME` and `PATH_INFO` and the query `QUERY_STRING` |
//! | else | a URI made of these three: they are what the front end has checked and perhaps rewritten |
//! | `HTTP_*` of capital letters, digits and `_` | headers; repeated pairs are repeated headers |
//! | other `HTTP_*`, and all variables | in [`RequestContext::vars`] |
//! | `HTTP_CONTENT_LENGTH`, `HTTP_CONTENT_TYPE` | nothing: `CONTENT_LENGTH` and `CONTENT_TYPE` count |
//! | headers of the connection, `HTTP_PROXY` | nothing. What `HTTP_CONNECTION` names stays: a client must not take away what the front end added |
//! | `HTTP_TRANSFER_ENCODING` without `CONTENT_LENGTH` | an error: 411 |
//!
//! # How front ends differ
//!
//! From captures, which are test cases. A dash is a request that the front end answers
//! itself, with 400 where nothing else is said.
//!
//! | | nginx 1.22.1 | Apache 2.4.71 | lighttpd 1.4.69 | uWSGI router 2.0.21 |
//! |---|---|---|---|---|
//! | no body: `CONTENT_LENGTH` | empty | absent | `0` | absent |
//! | repeated headers | pairs; since 1.23 joined | joined | joined | joined |
//! | repeated `Cookie` | pairs; since 1.23 by `; ` | by `, ` | by `; ` | by `, ` |
//! | `X_Foo` | dropped | dropped | `HTTP_X_FOO` | `HTTP_X_FOO` |
//! | `X.Foo` | dropped | dropped | `HTTP_X_FOO` | `HTTP_X.FOO` |
//! | `Proxy` | `HTTP_PROXY` | dropped | dropped | `HTTP_PROXY` |
//! | `Connection`, what it names, and `TE` | sent | sent | sent | sent |
//! | `PATH_INFO` of `/a/./b/%2e%2e//d` | `/a/d` | `/a/d` | `/a/d` | `/a/b/..//d` |
//! | `PATH_INFO` of `/../x` | – | – | `/x` | `/x` |
//! | `PATH_INFO` of `/a%00b` | – | – (404) | – | with a NUL |
//! | `REQUEST_URI` of `http://host/x` | `/x` | `http://host/x` | – | `http://host/x`, as `PATH_INFO` |
//! | chunked body | its length, `HTTP_TRANSFER_ENCODING` | – (411) | its length | `HTTP_TRANSFER_ENCODING` |
//! | chunked body with a length | – | – (411) | – | that length, then the chunks |
//! | two lengths | – | – | – | `3, 5` |
//! | two hosts | – | – | – | `a, b` |
//! | `REMOTE_PORT` | | | | its bytes swapped |
//!
//! # The head of a reply
//!
//! | what | meaning |
//! |---|---|
//! | `HTTP/1.1 404 Not Found` | a status line of any version: uWSGI repeats `SERVER_PROTOCOL` |
//! | no status line | CGI: the status is in `Status`, or 302 with `Location`, or 200 with `Content-Type`; else an error (RFC 3875, 6.3) |
//! | `Status` behind a status line | a header like others, as in nginx |
//! | lines that end with LF alone | accepted (RFC 9112, 2.2; RFC 3875, 6.3) |
//! | 1xx | [interim](ReplyHead::is_interim): another head follows; 101 is a [tunnel](BodyEnd::Tunnel) |
//! | `HEAD`, 204, 304 | [no body](BodyEnd::None) (RFC 9112, 6.3) |
//! | `Content-Length` | digits, up to 2^63-1; equal ones are one, different ones an error; left out with 1xx and 204 (RFC 9110, 8.6) |
//! | `Transfer-Encoding` | an error |
//! | a space before the colon, a continued line, a NUL, a bare CR | an error (RFC 9112, 5) |
//! | a status outside 100 to 999 | an error |
//! | `Connection` and what it names, `Keep-Alive`, … | left out |

mod body_end;
mod body_length;
mod connection_info;
mod header_names;
mod host;
mod keep;
mod map_error;
mod path;
mod reply_error;
mod reply_head;
mod reply_limits;
mod request_mapping;
mod request_vars;
mod requested_path;
mod status_line;

pub use self::body_end::BodyEnd;
pub use self::body_length::BodyLength;
pub use self::connection_info::{ConnectionInfo, Scheme};
pub use self::header_names::remove_hop_by_hop;
pub use self::keep::{ask_to_keep, asks_to_keep};
pub use self::map_error::MapError;
pub use self::reply_error::ReplyError;
pub use self::reply_head::ReplyHead;
pub use self::reply_limits::ReplyLimits;
pub use self::request_mapping::{AbsentBody, Repeated, RequestMapping, UnsafeNames};
pub use self::request_vars::{RequestContext, from_vars};
