//! The sources of options: arguments, the environment, and a file.

pub(super) mod arguments;
pub(super) mod command;
pub(super) mod environment;
pub(super) mod file;
mod pipe;
pub(super) mod process_env;
mod toml_hint;
pub(super) mod uwsgi_call;
