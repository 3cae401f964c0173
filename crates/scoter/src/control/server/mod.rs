//! The master's end of the control socket, and of the socket of `--metrics`.

mod accept;
mod access;
mod connections;
mod http;
mod listener;
mod metrics_listener;
mod rejected;
mod respond;

pub(crate) use accept::{serve, serve_readers};
pub(crate) use listener::{ControlError, ControlListener};
pub(crate) use metrics_listener::{MetricsError, MetricsListener};

#[cfg(test)]
mod fixture;
