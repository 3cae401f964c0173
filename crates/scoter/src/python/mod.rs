//! The interpreter, and the application that runs in it.

pub(crate) mod application;
pub(crate) mod child_processes;
pub(crate) mod environment;
pub(crate) mod exception;
pub(crate) mod faulthandler;
pub(crate) mod forked_child;
pub(crate) mod hooks;
pub(crate) mod interpreter;
pub(crate) mod program;
pub(crate) mod search_path;
pub(crate) mod signal_handlers;
pub(crate) mod stacks;
pub(crate) mod start_watch;
