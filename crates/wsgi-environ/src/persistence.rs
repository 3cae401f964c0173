/// Whether a connection serves another request after this one (RFC 9112, 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// It is closed.
    #[default]
    Close,
    /// It is kept: the head says `Connection: keep-alive`.
    KeepAlive,
}
