//! What scoter writes: the error log on standard error, and the access log.

mod access;
mod error;

pub(crate) use access::{AccessLog, Entry};
pub(crate) use error::{init, say};
