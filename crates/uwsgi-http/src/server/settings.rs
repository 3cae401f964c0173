use std::time::Duration;

use uwsgi_codec::Limits;

/// What a server allows its peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) max_connections: usize,
    pub(super) header_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) half_close: HalfClose,
    pub(super) keep_alive: KeepAlive,
}

impl Settings {
    /// How many connections may be kept. As those that wait take room, too, the others
    /// must leave some.
    pub(super) fn max_kept(&self) -> usize {
        self.keep_alive
            .max_connections
            .min(self.max_connections / 2)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_connections: 1_024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
            half_close: HalfClose::default(),
            keep_alive: KeepAlive::default(),
        }
    }
}

/// How long connections are kept for front ends that ask for it with `UWSGI_KEEP_CONN`,
/// as uwsgi-codec's `KEEPALIVE.md` describes.
///
/// Front ends that do not ask, nginx without a module among them, get one response per
/// connection, whatever is set here.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use uwsgi_http::server::KeepAlive;
///
/// let keep_alive = KeepAlive::new()
///     .with_max_connections(64)
///     .with_idle_timeout(Duration::from_secs(120));
/// assert_eq!(keep_alive.max_requests, 1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAlive {
    /// Maximum connections kept, waiting or in use, and at most half of the connections
    /// that the server serves. Beyond it a request is served and its connection closed,
    /// which loses nothing. Default: 512.
    pub max_connections: usize,
    /// Maximum requests on one connection; the last response closes it. Default: 1 000.
    pub max_requests: u32,
    /// How long a connection waits for the next request. Let the front end's own limit
    /// be shorter (nginx: `keepalive_timeout`, 60 s by default), so that the side closes
    /// which knows whether a request is under way. Default: 75 s.
    pub idle_timeout: Duration,
}

impl KeepAlive {
    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_connections: 512,
            max_requests: 1_000,
            idle_timeout: Duration::from_secs(75),
        }
    }

    /// Sets the maximum of connections kept. 0 keeps none.
    #[must_use]
    pub const fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets the maximum of requests on one connection. 0 and 1 keep none.
    #[must_use]
    pub const fn with_max_requests(mut self, requests: u32) -> Self {
        self.max_requests = requests;
        self
    }

    /// Sets how long a connection waits for the next request.
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::new()
    }
}

/// What it means if a peer shuts down its direction of the connection behind a complete
/// request.
///
/// On a Unix socket a peer that has closed the connection is told apart from that, and
/// its request is dropped in either case. On TCP both look the same until the server
/// sends something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HalfClose {
    /// It has nothing more to say, and waits for the response, as after `shutdown(2)` or
    /// `nc -N`. So over TCP the server notices that a client has left only when it
    /// sends.
    #[default]
    Answer,
    /// It has left: the request is dropped. For TCP behind front ends that never shut
    /// down one direction; nginx does not.
    Drop,
}
