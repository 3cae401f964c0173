use std::io;
use std::time::Duration;

/// What ended a run, and with which request.
#[derive(Debug, thiserror::Error)]
#[error("{address}: request {number} ({method} {path}): {fault}")]
pub struct Failure {
    /// Where the server listens.
    pub address: String,
    /// The request, counted from 1 in the order they were sent.
    pub number: u64,
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// What was wrong.
    #[source]
    pub fault: Box<Fault>,
}

/// What can be wrong with one request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody listens there, or the network cannot reach it.
    #[error("no connection to the server: {0}")]
    Connect(io::Error),
    /// The kernel refused something that has nothing to do with the server.
    #[error("{what}: {source}")]
    System {
        /// What was wanted of the kernel.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The request could not be built.
    #[error("the vars make no packet: {0}")]
    Packet(#[from] uwsgi_codec::EncodeError),
    /// Nothing came for too long.
    #[error("nothing has come for {} s", .0.as_secs_f64())]
    Silence(Duration),
    /// The connection ended before the head did.
    #[error("expected a head, got {got} and the end of the connection{sent}")]
    CutHead {
        /// What came of it.
        got: String,
        /// Whether the request was sent.
        sent: Sent,
    },
    /// The connection ended before the body did.
    #[error(
        "expected {expected} bytes of body, got {received} and the end of the connection{sent}"
    )]
    CutBody {
        /// Bytes that the head announced.
        expected: u64,
        /// Bytes that came.
        received: u64,
        /// Whether the request was sent.
        sent: Sent,
    },
    /// The connection ended before the last chunk did.
    #[error(
        "expected a last chunk, got {received} bytes of body and the end of the connection{sent}"
    )]
    CutChunks {
        /// Bytes of body that came.
        received: u64,
        /// Whether the request was sent.
        sent: Sent,
    },
    /// The connection was reset before the body's end, which no length told.
    #[error("expected the end of the body, got {received} bytes of it and a reset")]
    Reset {
        /// Bytes of body that came.
        received: u64,
    },
    /// The head is no head of HTTP/1.
    #[error("expected a head, got {got}: {reason}")]
    Head {
        /// The beginning of what came.
        got: String,
        /// Why it is none.
        reason: String,
    },
    /// A chunk's frame is none.
    #[error("expected {expected} after {received} bytes of body, got {got}")]
    Chunk {
        /// What the coding asks for.
        expected: &'static str,
        /// Bytes of body that came before.
        received: u64,
        /// What came.
        got: String,
    },
    /// The status is another one.
    #[error("expected status {expected}, got {got} {reason}, with {body}")]
    Status {
        /// The one that was expected.
        expected: u16,
        /// The one that came.
        got: u16,
        /// The phrase behind it.
        reason: String,
        /// The beginning of the body, as far as it has come.
        body: String,
    },
    /// A byte of the body is another one.
    #[error("expected {expected} at byte {offset} of the body, got {got}")]
    Body {
        /// Bytes of the body that were right.
        offset: u64,
        /// What should have followed.
        expected: String,
        /// What followed.
        got: String,
    },
    /// The body is larger.
    #[error("expected {expected} bytes of body, got more: {surplus}")]
    Larger {
        /// Bytes it should have.
        expected: u64,
        /// What came after them.
        surplus: String,
    },
    /// The body is smaller.
    #[error("expected {expected} bytes of body, got {received}")]
    Smaller {
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        received: u64,
    },
    /// Something follows the reply.
    #[error("expected nothing after the reply, got {got}")]
    Surplus {
        /// The beginning of what follows.
        got: String,
    },
}

/// What the server took of a request whose reply was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it.
    Whole,
    /// The server stopped reading.
    Partly {
        /// Bytes it took.
        sent: u64,
        /// Bytes of the request.
        of: u64,
    },
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Partly { sent, of } => {
                write!(f, ", with {sent} of the request's {of} bytes sent")
            }
        }
    }
}
