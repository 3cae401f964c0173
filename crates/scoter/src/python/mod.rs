//! The interpreter, and the application that runs in it.

pub(crate) mod application;
pub(crate) mod application_output;
pub(crate) mod causes;
pub(crate) mod child_exit;
pub(crate) mod child_processes;
pub(crate) mod environment;
pub(crate) mod exception_report;
pub(crate) mod exit_handlers;
pub(crate) mod faulthandler;
pub(crate) mod fork_hooks;
pub(crate) mod hooks;
pub(crate) mod imported_files;
pub(crate) mod limit_hint;
pub(crate) mod program;
pub(crate) mod request_timeout;
pub(crate) mod search_path;
pub(crate) mod signal_handlers;
pub(crate) mod signal_wakeups;
pub(crate) mod stacks;
pub(crate) mod start_watch;
pub(crate) mod starting_thread;
pub(crate) mod traceback;
pub(crate) mod uwsgi_module;
