//! The counters of finished requests.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::histogram::Histogram;
use super::writer::Writer;

/// Counts requests whose response has been sent, or as much of it as the peer took.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Counters {
    pub(super) responses: [[AtomicU64; MethodClass::COUNT]; StatusClass::COUNT],
    pub(super) durations: Histogram,
    pub(super) waits: Histogram,
    pub(super) request_bytes: AtomicU64,
    pub(super) response_bytes: AtomicU64,
}

/// A finished request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) method: MethodClass,
    pub(crate) status: u16,
    /// From accept, or from the first byte on a kept connection, to the end of the response.
    pub(crate) duration: Duration,
    /// How long it waited for a slot, if known.
    pub(crate) queued: Option<Duration>,
    /// Bytes of its body that were received.
    pub(crate) request_bytes: u64,
    /// Bytes of the response's body that were sent.
    pub(crate) response_bytes: u64,
}

/// The methods that are told apart. A client may send any word, so there has to be an end to them:
/// these are the ones that web applications give a meaning to (RFC 9110, 9; RFC 5789).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodClass {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

/// The first digit of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusClass {
    Informational,
    Successful,
    Redirection,
    ClientError,
    ServerError,
}

impl Counters {
    /// Counts a request.
    pub(crate) fn note(&self, finished: &Finished, writer: Writer) {
        let class = StatusClass::of(finished.status);
        let responses = &self.responses[class as usize];
        writer.add(&responses[finished.method as usize], 1);
        self.durations.note(finished.duration, writer);
        if let Some(queued) = finished.queued {
            self.waits.note(queued, writer);
        }
        writer.add(&self.request_bytes, finished.request_bytes);
        writer.add(&self.response_bytes, finished.response_bytes);
    }
}

impl MethodClass {
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) const ALL: [Self; 8] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
        Self::Other,
    ];

    /// The class of a method, which is case-sensitive.
    pub(crate) fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"POST" => Self::Post,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "other",
        }
    }
}

impl StatusClass {
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) const ALL: [Self; 5] = [
        Self::Informational,
        Self::Successful,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
    ];

    /// The class of a status. A client takes one above 599 for a server error (RFC 9110, 15).
    fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Successful,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Successful => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_is_one_of_a_few_whatever_a_client_sends() {
        for class in MethodClass::ALL {
            assert_eq!(MethodClass::of(class.as_str().as_bytes()), class);
            assert_eq!(MethodClass::ALL[class as usize], class);
        }
        for method in [&b""[..], b"get", b"PROPFIND", b"GET ", b"\"} 1\n", b"\xff"] {
            assert_eq!(MethodClass::of(method), MethodClass::Other);
        }
    }

    #[test]
    fn status_is_classed_by_its_first_digit() {
        for (status, expected) in [
            (101, "1xx"),
            (200, "2xx"),
            (299, "2xx"),
            (304, "3xx"),
            (404, "4xx"),
            (499, "4xx"),
            (500, "5xx"),
            (504, "5xx"),
            (999, "5xx"),
        ] {
            assert_eq!(StatusClass::of(status).as_str(), expected, "{status}");
        }
        for class in StatusClass::ALL {
            assert_eq!(StatusClass::ALL[class as usize], class);
        }
    }
}
