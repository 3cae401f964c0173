//! What scoter writes: the error log on standard error, and the access log.

mod access;
mod error;
mod identity;
mod json_event;
mod request_id;
mod standard_error;
mod turn;

pub(crate) use access::{AccessLog, Entry};
pub(crate) use error::{application_lines, init, say};
pub(crate) use identity::{Identity, identify};
pub(crate) use request_id::{RequestId, RequestIds};
