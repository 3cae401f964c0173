//! scoter: a WSGI application server for nginx `uwsgi_pass`.
//!
//! The packet is decoded by [`uwsgi_codec`], turned into PEP 3333's objects by
//! [`wsgi_environ`]; this crate is the server around them. It is started as a Python
//! extension module (`scoter` or `python -m scoter` in the application's own venv), or as a
//! program that embeds Python. `crates/README.md` describes how the parts work together.

mod application;
mod banner;
mod command;
mod config;
mod control;
mod crash_report;
mod descriptors;
pub mod embed;
mod failure;
mod fatal;
mod file_limit;
mod fork;
mod hooks;
mod interpreter;
mod jitter;
mod launcher;
mod line;
mod listen;
mod log;
mod pool;
mod process;
mod process_stat;
mod program;
mod python_signals;
mod request_head;
mod scoreboard;
mod search_path;
mod server;
mod signals;
mod start;
mod start_watch;
mod started;
mod supervisor;
mod variables;
mod worker;

/// The extension module behind the `scoter` package.
#[pyo3::pymodule]
mod _scoter {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::worker::RequestTimeout;

    #[pymodule_export]
    use wsgi_environ::{Errors, FileWrapper, Input, StartResponse, Write};

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command line `arguments`, the program's name first, and returns the exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
        let program = crate::program::Program::interpreter(py, &arguments)?;
        Ok(crate::command::run(py, program, &arguments))
    }

    /// Runs a launcher, which a master has started, and returns the exit code.
    #[pyfunction]
    fn launch(py: Python<'_>) -> u8 {
        crate::launcher::run(py)
    }

    /// The number of this worker among those that serve now, from 1; `None` elsewhere.
    #[pyfunction]
    fn worker_id() -> Option<u32> {
        crate::hooks::worker_id()
    }
}
