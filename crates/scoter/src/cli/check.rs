//! `scoter check`: a start that does not serve.

use std::io::{self, Write};
use std::time::Duration;

use pyo3::prelude::*;

use crate::config::{Environment, Options};
use crate::failure::Failure;
use crate::log::{self, Colours};
use crate::python::application::Loaded;
use crate::python::environment;
use crate::python::exit_handlers::run_exit_handlers;
use crate::python::start_watch::{StartWatch, too_late};
use crate::start::{Start, StartError, demand};
use crate::sys::file_limit;
use crate::sys::fork;
use crate::sys::process::exit_now;

/// How much `scoter check` verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The options only.
    Configuration,
    /// The options and the application.
    Everything,
}

/// Does everything that a start does before serving, except binding sockets, which a running server
/// may hold. Exits the process, because the application may have started threads that never end.
pub(super) fn run(py: Python<'_>, start: &Start<'_>, extent: Extent) -> ! {
    for mistake in start.settings.without_effect(start.options) {
        let _ = writeln!(io::stderr(), "warning: {mistake}");
    }
    for remark in start.settings.uwsgi_remarks() {
        let _ = writeln!(io::stderr(), "warning: {remark}");
    }
    let environment = match Environment::of(start.options) {
        Ok(environment) => environment,
        Err(error) => {
            error.print();
            exit_now(error.exit_code());
        }
    };
    let checked = check_file_limit(start.options).and_then(|()| match extent {
        Extent::Configuration => start
            .check_takeover()
            .map(|()| "the configuration is fine")
            .map_err(Failure::from),
        Extent::Everything => {
            everything(py, start, &environment).map(|()| "configuration and application are fine")
        }
    });
    let code = match checked {
        Ok(message) => u8::from(writeln!(io::stdout(), "{message}").is_err()),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            error.exit_code()
        }
    };
    run_exit_handlers(py, THREADS_TIME);
    exit_now(code)
}

fn check_file_limit(options: &Options) -> Result<(), Failure> {
    let demand = demand(options);
    file_limit::raise(&demand);
    file_limit::check(&demand).map_err(StartError::from)?;
    Ok(())
}

fn everything(py: Python<'_>, start: &Start<'_>, environment: &Environment) -> Result<(), Failure> {
    let variables = start.check()?;
    environment::set(py, &variables).map_err(Failure::python(py))?;
    environment::set_for_application(py, environment).map_err(Failure::python(py))?;
    fork::watch()?;
    load(py, start.options)?;
    Ok(())
}

/// Loads the application within `--start-timeout`, as a start does.
fn load(py: Python<'_>, options: &Options) -> Result<Loaded, Failure> {
    log::init(options.log_level, options.log_format, Colours::Auto);
    let _watch = StartWatch::post(py, options.start_timeout.0, |doing| {
        let failed = too_late(doing);
        let _ = writeln!(io::stderr(), "error: {}", failed.message);
        exit_now(failed.code)
    });
    Ok(Loaded::load(py, options)?)
}

/// How long a check waits for the application's threads to end.
const THREADS_TIME: Duration = Duration::from_secs(1);
