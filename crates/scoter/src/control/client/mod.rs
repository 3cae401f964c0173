//! The commands that talk to a running server.

mod commands;
mod discovery;
mod error;
mod http;
mod reload;
mod render;
mod server_list;
mod stacks;
mod stop;
mod top;

pub(crate) use commands::{ClientCommand, run};
use render::render;

#[cfg(test)]
mod fixture;
