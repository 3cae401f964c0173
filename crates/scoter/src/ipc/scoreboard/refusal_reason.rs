//! Why the server has answered a connection itself.

/// A reason that is counted, named for the option that sets the limit if there is one. An upgrade
/// passes counts on by position: new reasons are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// It is no packet, or no request for this server.
    BadPacket,
    /// Its lengths contradict each other, or are none.
    ContentLength,
    MaxVars,
    MaxBody,
    HeaderTimeout,
    BodyTimeout,
    QueueTimeout,
    MaxPending,
    /// The server or the worker was ending.
    Stopping,
    /// The body could not be kept in a file.
    Spool,
    OutOfMemory,
}

impl RefusalReason {
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) const ALL: [Self; 11] = [
        Self::BadPacket,
        Self::ContentLength,
        Self::MaxVars,
        Self::MaxBody,
        Self::HeaderTimeout,
        Self::BodyTimeout,
        Self::QueueTimeout,
        Self::MaxPending,
        Self::Stopping,
        Self::Spool,
        Self::OutOfMemory,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BadPacket => "bad-packet",
            Self::ContentLength => "content-length",
            Self::MaxVars => "max-vars",
            Self::MaxBody => "max-body",
            Self::HeaderTimeout => "header-timeout",
            Self::BodyTimeout => "body-timeout",
            Self::QueueTimeout => "queue-timeout",
            Self::MaxPending => "max-pending",
            Self::Stopping => "stopping",
            Self::Spool => "spool",
            Self::OutOfMemory => "out-of-memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_place_and_a_name_of_its_own() {
        for (index, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            let names = RefusalReason::ALL.map(RefusalReason::as_str);
            let same = names.iter().filter(|name| **name == reason.as_str());
            assert_eq!(same.count(), 1, "{reason:?}");
        }
    }
}
