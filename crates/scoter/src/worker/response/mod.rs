//! Responses: what is sent, refused and reported.

pub(super) mod incident;
pub(super) mod memory;
pub(super) mod overload;
pub(super) mod pending;
pub(super) mod refusal;
pub(super) mod report;
pub(super) mod revoked_request;
pub(super) mod send_buffer;
pub(super) mod send_progress;
mod sendfile;
