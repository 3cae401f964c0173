//! Unix or TCP.

/// What a connection arrived over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// A Unix socket.
    Unix,
    /// TCP over IPv4 or IPv6.
    Tcp,
}
