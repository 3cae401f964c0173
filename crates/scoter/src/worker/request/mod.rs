//! Requests, from received bytes until a slot serves them.

pub(super) mod intake;
pub(super) mod late_body;
pub(super) mod partial_request;
pub(super) mod ready_queue;
pub(super) mod receive_buffer;
