//! scoter: a WSGI application server for nginx `uwsgi_pass`.
//!
//! The packet is decoded by [`uwsgi_codec`], turned into PEP 3333's objects by
//! [`wsgi_environ`]; this crate is the server around them. It is started as a Python
//! extension module (`scoter` or `python -m scoter` in the application's own venv), or as a
//! program that embeds Python. `crates/README.md` describes how the parts work together.

mod cli;
mod config;
mod control;
pub mod embed;
mod failure;
mod ipc;
mod launcher;
mod log;
mod metrics;
mod net;
mod program;
mod python;
mod request_head;
mod start;
mod supervisor;
mod sys;
mod worker;

/// The extension module behind the `scoter` package.
#[pyo3::pymodule]
mod _scoter {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::python::request_timeout::RequestTimeout;

    #[pymodule_export]
    use crate::python::uwsgi_module::UwsgiServer;

    #[pymodule_export]
    use wsgi_environ::{Errors, FileWrapper, Input, StartResponse, Write};

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command line `arguments`, which begin with the program's name or path, and returns the
    /// exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
        let arguments = crate::program::by_name(arguments);
        let program = crate::python::program::interpreter(py, &arguments)?;
        Ok(crate::cli::run(py, program, &arguments))
    }

    /// Runs a launcher, which a master has started, and returns the exit code.
    #[pyfunction]
    fn launch(py: Python<'_>) -> u8 {
        crate::launcher::run(py)
    }

    /// The number of this worker among those that serve now, from 1; `None` in other processes.
    #[pyfunction]
    fn worker_id() -> Option<u32> {
        crate::python::hooks::worker_id()
    }
}
