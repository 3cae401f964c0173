//! The master's end of the control socket, and of the sockets of `--metrics` and `--uwsgi-stats`.

mod accept;
mod access;
mod ask;
mod connections;
mod http;
mod listener;
mod reader_listener;
mod rejected;
mod respond;
mod socket;
mod stats;

pub(crate) use accept::{serve, serve_readers};
pub(crate) use listener::{ControlError, ControlListener};
pub(crate) use reader_listener::{ReaderError, ReaderListener, Service};

#[cfg(test)]
mod fixture;
