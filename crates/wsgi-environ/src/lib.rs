//! wsgi-environ
#![warn(missing_debug_implementations)]

mod completed;
mod decimal;
mod environ;
mod errors;
mod fd;
mod file_wrapper;
mod head;
mod input;
mod lent;
mod reason;
mod reply;
mod request;
mod respond;
mod start_response;
mod text;
mod transport;

pub use crate::completed::{
    Cause, Completed, End, Failure, Fault, HeadState, Note, Rest, Stage, Tail, Violation,
};
pub use crate::environ::{EnvironBuilder, ForwardedProto, ScriptName, ServerInfo};
pub use crate::errors::Errors;
pub use crate::file_wrapper::FileWrapper;
pub use crate::input::{Body, Input, InputEnd, InputFailure};
pub use crate::reason::{reason_phrase, write_plain_reply};
pub use crate::request::{Method, RequestError, content_length};
pub use crate::respond::{Exchange, respond};
pub use crate::start_response::{StartResponse, Write};
pub use crate::transport::Transport;
