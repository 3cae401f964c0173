//! Unix or TCP.

/// The kind of socket that a connection arrived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// A Unix socket.
    Unix,
    /// TCP over IPv4 or IPv6.
    Tcp,
}
