//! The control socket: how people and their tools ask the master for something.
//!
//! HTTP over a Unix socket, so that `curl --unix-socket` and every HTTP library can do what
//! `scoter status`, `reload`, `stop`, `scale` and `top` do. The master answers [`Order`]s and
//! knows nothing of HTTP.

mod call;
mod client;
mod commands;
mod connections;
mod errors;
mod listener;
mod order;
mod render;
mod screen;
mod server;
mod status;
mod top;
mod wait;

pub(crate) use commands::{ClientCommand, run};
pub(crate) use listener::{ControlError, ControlListener};
pub(crate) use order::{Order, ReloadError, Reloaded, Scaled};
pub(crate) use render::render;
pub(crate) use server::serve;
pub(crate) use status::{
    ListenerStatus, Phase, ReloadStatus, SlotStatus, Status, Totals, WorkerPhase, WorkerStatus,
    millis,
};
