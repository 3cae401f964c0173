use std::os::fd::OwnedFd;

use pyo3::PyErr;
use pyo3::pybacked::PyBackedBytes;
use thiserror::Error;

use crate::InputEnd;

/// What [`respond`](crate::respond) leaves to the server: bytes to send, how
/// the connection has to end, and what there is to log.
///
/// Plain data: everything here may be used without being attached to the
/// interpreter.
#[derive(Debug)]
pub struct Completed {
    /// The status code, as sent or as in the tail.
    pub status: u16,
    /// Whether the head has already left.
    pub head: HeadState,
    /// What is still to be sent.
    pub tail: ResponseTail,
    /// Bytes of the body that were sent plus those in the tail.
    pub body_bytes: u64,
    /// How the connection must end once the tail is sent.
    pub end: ResponseEnd,
    /// What became of the request body.
    pub input: InputEnd,
    /// What went wrong in the application, in order. To be logged once each.
    pub failures: Vec<ApplicationFailure>,
    /// What was put right silently. Worth a line, once.
    pub corrections: Vec<Correction>,
}

/// Where the head of the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// The client has it, or as much of it as it took before it went away.
    Sent,
    /// It stands at the front of [`ResponseTail::out`].
    InTail,
}

/// What is still to be sent: first `out`, then `body`.
#[derive(Debug)]
pub struct ResponseTail {
    /// The head, if [`HeadState::InTail`], and body bytes small enough to be
    /// copied behind it. Often all there is, so that one `send` does.
    ///
    /// It is the buffer given in [`Exchange::out`](crate::Exchange::out), to be
    /// used again; empty when nothing is left to send.
    pub out: Vec<u8>,
    /// What follows.
    pub body: RemainingBody,
}

/// The part of a body that is not copied.
#[derive(Debug)]
pub enum RemainingBody {
    /// Nothing.
    Nothing,
    /// Bytes objects of the application, none of them empty. They are readable
    /// without the interpreter, but are given back to it sooner when dropped by
    /// a thread that is attached.
    Chunks(Vec<PyBackedBytes>),
    /// A piece of a regular file, for `sendfile`.
    File {
        /// A duplicate of the application's descriptor. It shares its file
        /// position, so always give the offset.
        file: OwnedFd,
        /// Where the piece begins, in bytes.
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
    /// The response is not what its head promised: send the tail, then end the
    /// connection so that the client can tell (a reset, where the socket can).
    CutShort,
    /// The client went away; nothing can be sent.
    PeerGone,
    /// The client took nothing for longer than the write deadline; nothing can
    /// be sent.
    PeerStalled,
}

/// Something to be logged as an error, or, where it is the peer's doing, for
/// those who debug.
#[derive(Debug)]
pub struct ApplicationFailure {
    /// What happened.
    pub cause: FailureCause,
    /// Who can do something about it.
    pub origin: FailureOrigin,
}

/// What an [`ApplicationFailure`] is about.
#[derive(Debug)]
pub enum FailureCause {
    /// An exception came out of the application.
    Exception {
        /// Where.
        stage: ApplicationStage,
        /// The exception, with its traceback.
        error: PyErr,
    },
    /// The application broke the contract of PEP 3333.
    Violation(Violation),
}

/// Who can do something about an [`ApplicationFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureOrigin {
    /// The application.
    Application,
    /// The client: the exception followed a body that did not arrive, or a
    /// response that was not taken.
    Peer,
}

/// What the application was doing when an exception came out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationStage {
    /// The call of the application object.
    Call,
    /// The iteration over what it returned.
    Iterate,
    /// The `close()` of what it returned.
    Close,
}

/// A breach of PEP 3333 that the server notices itself, in words for the
/// application's author.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Nothing that can be iterated over was returned.
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
    /// There is a body, or an end without one, but `start_response` was not
    /// called.
    #[error("start_response() was not called before the first byte of the response")]
    NoStartResponse,
    /// Less came than Content-Length announced.
    #[error("the response has {sent} bytes, but its Content-Length is {declared}")]
    BodyTooShort {
        /// The Content-Length.
        declared: u64,
        /// The bytes of the body.
        sent: u64,
    },
}

/// Something that was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Correction {
    /// A header that is not the application's to send was left out.
    HeaderDropped {
        /// The name, as the application spelled it.
        name: String,
    },
    /// The body was cut to its Content-Length.
    BodyCut {
        /// The Content-Length.
        declared: u64,
        /// How many bytes were left out, as far as known: iteration stops at
        /// the first one too many.
        excess: u64,
    },
    /// A body was left out because a response with this status has none.
    BodyDropped {
        /// 204, 205 or 304.
        status: u16,
    },
}
