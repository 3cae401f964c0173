use std::os::fd::OwnedFd;

use pyo3::PyErr;
use pyo3::pybacked::PyBackedBytes;
use thiserror::Error;

use crate::{InputEnd, Persistence};

/// What [`respond`](crate::respond) leaves to the server: bytes to send, how
/// the connection must end, and what to log.
///
/// Plain data that can be used without being attached to the interpreter.
#[derive(Debug)]
pub struct Completed {
    /// The status code, as sent or as in the tail.
    pub status: u16,
    /// Whose response it is.
    pub author: ResponseAuthor,
    /// Whether the head has already been sent.
    pub head: HeadState,
    /// What remains to be sent.
    pub tail: ResponseTail,
    /// Bytes of the body that were sent plus those in the tail.
    pub body_bytes: u64,
    /// How the connection must end once the tail is sent.
    pub end: ResponseEnd,
    /// [`Persistence::KeepAlive`] only if the head says so, the response is exactly what
    /// the head announced, and nothing of the request's body is left in the connection. What
    /// failed behind a complete response does not change that: the client may already have
    /// sent its next request.
    pub persistence: Persistence,
    /// How much of the request body was read.
    pub input: InputEnd,
    /// What went wrong in the application, in order. Log each once.
    pub failures: Vec<ApplicationFailure>,
    /// What was corrected silently. Worth a log line, once.
    pub corrections: Vec<Correction>,
}

/// Whose response it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseAuthor {
    /// The application's, even if it has failed since.
    Application,
    /// The plain text that stands in for the response of an application that failed before any of
    /// it had been sent: 500, or 400 or 408 if its client caused that.
    Server,
}

/// Where the head of the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// It was sent, or as much of it as the client accepted before it disconnected; or the
    /// transport has taken it ([`Transport::take_head`](crate::Transport::take_head)).
    Sent,
    /// It is at the front of [`ResponseTail::out`].
    InTail,
}

/// What remains to be sent: first `out`, then `body`.
#[derive(Debug)]
pub struct ResponseTail {
    /// The head, if [`HeadState::InTail`], and body bytes small enough to be
    /// copied after it. Often that is everything, so that one `send` suffices.
    ///
    /// It is the buffer given in [`Exchange::out`](crate::Exchange::out), to be
    /// reused; empty when nothing is left to send.
    pub out: Vec<u8>,
    /// What follows.
    pub body: RemainingBody,
}

/// The part of a body that is not copied.
#[derive(Debug)]
pub enum RemainingBody {
    /// Nothing.
    Nothing,
    /// Bytes objects of the application, none of them empty. They can be read
    /// without the interpreter, but are freed sooner if dropped by an attached
    /// thread.
    Chunks(Vec<PyBackedBytes>),
    /// A range of a regular file, for `sendfile`.
    File {
        /// A duplicate of the application's descriptor. It shares the file
        /// position, so always pass the offset.
        file: OwnedFd,
        /// Where the range begins, in bytes.
        offset: u64,
        /// Its length in bytes, more than 0. The file may have shrunk since.
        len: u64,
    },
}

/// How the connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseEnd {
    /// The response is complete once the tail is sent.
    Complete,
    /// The response is not what its head announced: send the tail, then close the
    /// connection so that the client notices (with a reset, if the socket can).
    CutShort,
    /// The response is complete, and the connection is not this request's any more:
    /// [`Transport::take_back`](crate::Transport::take_back).
    TakenBack,
    /// The client disconnected; nothing can be sent.
    PeerGone,
    /// The client accepted nothing until the write deadline; nothing can be sent.
    PeerStalled,
}

/// Something to log: as an error, or at debug level if the peer caused it.
#[derive(Debug)]
pub struct ApplicationFailure {
    /// What happened.
    pub cause: FailureCause,
    /// Who can fix it.
    pub origin: FailureOrigin,
}

/// What an [`ApplicationFailure`] is about.
#[derive(Debug)]
pub enum FailureCause {
    /// The application raised an exception.
    Exception {
        /// Where.
        stage: ApplicationStage,
        /// The exception, with its traceback.
        error: PyErr,
    },
    /// The application broke the contract of PEP 3333.
    Violation(Violation),
}

/// Who can fix an [`ApplicationFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureOrigin {
    /// The application.
    Application,
    /// The client: the exception followed a body that did not arrive, or a
    /// response that was not accepted.
    Peer,
}

/// What the application was doing when it raised an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationStage {
    /// The call of the application object.
    Call,
    /// The iteration over what it returned.
    Iterate,
    /// The `close()` of what it returned.
    Close,
}

/// A violation of PEP 3333 that the server detects, described for the
/// application's author.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The returned object is not iterable.
    #[error("the application returned {type_name}: an iterable of bytes is needed, such as a list")]
    NotIterable {
        /// The type of what was returned.
        type_name: String,
    },
    /// A `str` was returned, which iterates over `str`.
    #[error("the application returned str: a list of bytes is needed (encode the text)")]
    TextReturned,
    /// An item of the returned iterable is not `bytes`.
    #[error("item {index} of the response is {type_name}, not bytes")]
    ItemNotBytes {
        /// Counted from 0, empty items included.
        index: u64,
        /// The type of the item.
        type_name: String,
    },
    /// `start_response` was not called before the body, or before the end if
    /// there is none.
    #[error("start_response() was not called before the first byte of the response")]
    NoStartResponse,
    /// The body is shorter than its Content-Length.
    #[error("the response has {sent} bytes, but its Content-Length is {declared}")]
    BodyTooShort {
        /// The Content-Length.
        declared: u64,
        /// The bytes of the body.
        sent: u64,
    },
}

/// Something that was corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Correction {
    /// A header that applications must not send was removed.
    HeaderDropped {
        /// The name, as the application spelled it.
        name: String,
    },
    /// The body was cut to its Content-Length.
    BodyCut {
        /// The Content-Length.
        declared: u64,
        /// How many bytes were left out, as far as is known: iteration stops at
        /// the first excess byte.
        excess: u64,
    },
    /// A body was removed because a response with this status has none.
    BodyDropped {
        /// 204, 205 or 304.
        status: u16,
    },
}
