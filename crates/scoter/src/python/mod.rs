//! The interpreter, and the application that runs in it.

pub(crate) mod application;
pub(crate) mod child_processes;
pub(crate) mod environment;
pub(crate) mod exception;
pub(crate) mod hooks;
pub(crate) mod interpreter;
pub(crate) mod signal_handlers;
pub(crate) mod stacks;
pub(crate) mod start_watch;
