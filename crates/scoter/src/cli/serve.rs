//! Serving: with a master, or in this one process.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;

use pyo3::prelude::*;
use tracing::{error, warn};

use crate::config::{Options, Settings};
use crate::failure::Failure;
use crate::ipc::scoreboard::Scoreboard;
use crate::log;
use crate::program::{Program, SUPERVISION};
use crate::python::environment;
use crate::python::faulthandler::describe_crashes_in;
use crate::python::interpreter::{traceback, watch_forks};
use crate::python::signal_handlers;
use crate::start::Start;
use crate::supervisor;
use crate::sys::file_limit;
use crate::sys::signals;
use crate::worker::{MasterLink, WorkerContext, serve};

/// Serves until it is stopped, and returns the exit code. What keeps it from serving is said.
pub(crate) fn run(
    py: Python<'_>,
    program: Program,
    arguments: &[OsString],
    settings: Settings,
    options: Options,
) -> u8 {
    // Before anything has a number that depends on it.
    file_limit::raise(options.threads, options.max_pending);
    log::init(options.log_level, options.log_format);
    file_limit::warn_if_low(options.threads, options.max_pending);
    let served = if options.no_master {
        serve_alone(py, &program, &settings, options).map(|never| match never {})
    } else if let Err(error) = signal_handlers::take(py) {
        Err(Failure::Python(traceback(py, &error)))
    } else {
        py.detach(|| supervisor::run(program, arguments.to_vec(), settings, options))
    };
    served.unwrap_or_else(|failure| {
        error!("{failure}");
        failure.exit_code()
    })
}

fn serve_alone(
    py: Python<'_>,
    program: &Program,
    settings: &Settings,
    options: Options,
) -> Result<Infallible, Failure> {
    signals::block();
    watch_forks(py).map_err(|error| Failure::Python(traceback(py, &error)))?;
    let start = Start {
        program,
        settings,
        options: &options,
    };
    let opened = start.open()?;
    describe_crashes_in(py, io::stderr())
        .map_err(|error| Failure::Python(traceback(py, &error)))?;
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        warn!(
            "systemd is told nothing with --no-master: use Type=exec, and no WatchdogSec= or \
             ExecReload="
        );
    }
    environment::remove(py, &SUPERVISION)
        .map_err(|error| Failure::Python(traceback(py, &error)))?;
    let context = WorkerContext {
        board: Scoreboard::create(usize::from(options.threads))?,
        listeners: opened.listeners,
        master: MasterLink::None,
        multiprocess: false,
        control: None,
        preloaded: None,
        options,
    };
    serve(py, context)
}
