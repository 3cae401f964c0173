use std::time::Duration;

/// How long a client waits for a server.
///
/// Only waiting for the server counts: not the time that the request's body takes to
/// come from its source, nor the time until somebody asks for the next part of the
/// reply's body. [`Duration::MAX`] is no limit.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use uwsgi_http::client::Timeouts;
///
/// let timeouts = Timeouts::new().with_head(Duration::from_secs(300));
/// assert_eq!(timeouts.connect, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until the connection is there: looking up a name, and waiting for room in the
    /// backlog of a Unix socket, included. Default: 10 seconds.
    pub connect: Duration,
    /// From the last byte of the request to the end of the reply's head, whatever 1xx
    /// heads come before it. Default: 60 seconds, as nginx's `uwsgi_read_timeout`.
    pub head: Duration,
    /// Between two reads of the reply's body, or between one and a write of the request
    /// if that is not yet sent. Default: 60 seconds, as nginx's `uwsgi_read_timeout`.
    pub read: Duration,
    /// Between two writes of the request, until the head of the reply has come. Default:
    /// 60 seconds, as nginx's `uwsgi_send_timeout`.
    pub write: Duration,
}

impl Timeouts {
    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(60),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
        }
    }

    /// Sets how long connecting may take.
    #[must_use]
    pub const fn with_connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Sets how long the head of the reply may take.
    #[must_use]
    pub const fn with_head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// Sets how long the next part of the reply's body may take.
    #[must_use]
    pub const fn with_read(mut self, limit: Duration) -> Self {
        self.read = limit;
        self
    }

    /// Sets how long the server may take to receive the next part of the request.
    #[must_use]
    pub const fn with_write(mut self, limit: Duration) -> Self {
        self.write = limit;
        self
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}
