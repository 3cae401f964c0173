//! The master's end of the control socket.

mod accept;
mod connections;
mod http;
mod listener;
mod rejected_uids;
mod respond;

pub(crate) use accept::serve;
pub(crate) use listener::{ControlError, ControlListener};

#[cfg(test)]
mod fixture;
