use std::net::{IpAddr, SocketAddr};
use std::string::String;

/// What is known of the connection that a request came on, and the request itself does not say.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::http::{ConnectionInfo, Scheme};
///
/// let remote = "192.0.2.1:52814".parse()?;
/// let connection = ConnectionInfo::new()
///     .with_remote(remote)
///     .with_server_port(443)
///     .with_scheme(Scheme::Https);
/// assert_eq!(connection.remote_port, Some(52814));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// `REMOTE_ADDR`: the client's address. `None` for a Unix socket.
    pub remote_addr: Option<IpAddr>,
    /// `REMOTE_PORT`: the client's port.
    pub remote_port: Option<u16>,
    /// `SERVER_NAME`. `None` stands for the host that the client asked for.
    pub server_name: Option<String>,
    /// `SERVER_PORT`. `None` stands for the port that the client asked for.
    pub server_port: Option<u16>,
    /// `REQUEST_SCHEME` and `HTTPS`.
    pub scheme: Scheme,
}

/// What the client spoke to the front end: PEP 3333 knows these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP in the clear.
    #[default]
    Http,
    /// HTTP in TLS.
    Https,
}

impl ConnectionInfo {
    /// Returns what holds if nothing is known: HTTP without TLS.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the client's address and port.
    ///
    /// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) stays so; see
    /// [`IpAddr::to_canonical`].
    #[must_use]
    pub fn with_remote(mut self, remote: SocketAddr) -> Self {
        self.remote_addr = Some(remote.ip());
        self.remote_port = Some(remote.port());
        self
    }

    /// Sets `SERVER_NAME`.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets `SERVER_PORT`: as in nginx, the port that the connection was accepted on.
    #[must_use]
    pub fn with_server_port(mut self, port: u16) -> Self {
        self.server_port = Some(port);
        self
    }

    /// Sets the scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }
}

impl Scheme {
    /// Returns `http` or `https`.
    #[inline]
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port of a URL that names none.
    #[inline]
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}
