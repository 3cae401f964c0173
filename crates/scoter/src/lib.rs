//! scoter: a WSGI application server for nginx `uwsgi_pass`.
//!
//! The packet is decoded by [`uwsgi_codec`], turned into PEP 3333's objects by
//! [`wsgi_environ`]; this crate is the server around them. It is started as a Python
//! extension module (`scoter` or `python -m scoter` in the application's own venv), or as a
//! program that embeds Python. `crates/README.md` describes how the parts work together.

mod access_log;
mod application;
mod command;
mod config;
pub mod embed;
mod interpreter;
mod line;
mod listen;
mod log;
mod process;
mod scoreboard;
mod server;
mod signals;
mod worker;

/// The extension module behind the `scoter` package.
#[pyo3::pymodule]
mod _scoter {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use wsgi_environ::{Errors, FileWrapper, Input, StartResponse, Write};

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command line `arguments`, the program's name first, and returns the exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        crate::command::run(py, &arguments)
    }
}
