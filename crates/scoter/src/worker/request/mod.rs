//! Requests, from received bytes until a slot serves them.

pub(super) mod intake;
pub(super) mod partial_request;
pub(super) mod room;
