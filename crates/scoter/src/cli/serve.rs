//! Serving: with a master, or in a single process.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;

use nix::sys::signal::SigSet;
use pyo3::prelude::*;
use tracing::{error, info, warn};

use super::{banner, mistyped};
use crate::config::{DevArguments, Environment, Options, Settings};
use crate::failure::Failure;
use crate::ipc::scoreboard::Scoreboard;
use crate::log::{self, Colours};
use crate::program::{Program, RESUME, SUPERVISION};
use crate::python::application_output;
use crate::python::environment;
use crate::python::faulthandler::describe_crashes_in;
use crate::python::fork_hooks::watch_forks;
use crate::python::signal_handlers;
use crate::start::{Opened, PidFile, Start, StartError, demand, warn_of_root};
use crate::supervisor::{self, Beginning, Dev};
use crate::sys::file_limit::{self, Demand};
use crate::sys::process_name::set_server_name;
use crate::sys::signals;
use crate::worker::{MasterLink, WorkerContext, serve};

/// Serves until it is stopped, and returns the exit code. Reports what prevents it from serving.
pub(crate) fn run(
    py: Python<'_>,
    program: Program,
    arguments: &[OsString],
    settings: Settings,
    options: Options,
    dev: Option<DevArguments>,
) -> u8 {
    // Before the privileges are given up that reading its files may need.
    let environment = match Environment::of(&options) {
        Ok(environment) => environment,
        Err(error) => {
            error.print();
            return error.exit_code();
        }
    };
    let demand = demand(&options);
    // First, because other limits are derived from this one.
    file_limit::raise(&demand);
    let colours = match options.error_log {
        None => Colours::Auto,
        // It goes to the error log, too.
        Some(_) => Colours::Never,
    };
    log::init(options.log_level, options.log_format, colours);
    for mistake in settings.without_effect(&options) {
        warn!("{mistake}");
    }
    if let Some(uwsgi) = &settings.uwsgi {
        info!("{}; --print-config shows the details", uwsgi.summary);
    }
    for remark in settings.uwsgi_remarks() {
        warn!("{remark}");
    }
    let served = check_file_limit(&demand)
        .map_err(Failure::from)
        .and_then(|()| {
            if options.no_master {
                serve_alone(py, &program, &settings, options, &environment)
                    .map(|never| match never {})
            } else {
                let start = Supervised {
                    program,
                    settings,
                    options,
                    environment,
                    dev,
                };
                supervise(py, arguments, start)
            }
        });
    served.unwrap_or_else(|failure| {
        error!("{failure}");
        failure.exit_code()
    })
}

/// Checks the limit before anything is opened. A release that takes over must not end for it: it
/// has the descriptors of the previous one, and its preflight has been checked.
fn check_file_limit(demand: &Demand) -> Result<(), StartError> {
    if std::env::var_os(RESUME).is_none() {
        file_limit::check(demand)?;
    }
    file_limit::warn_if_low(demand);
    Ok(())
}

/// What a master begins with.
struct Supervised {
    program: Program,
    settings: Settings,
    options: Options,
    environment: Environment,
    dev: Option<DevArguments>,
}

fn supervise(py: Python<'_>, arguments: &[OsString], start: Supervised) -> Result<u8, Failure> {
    let Supervised {
        program,
        settings,
        options,
        environment,
        dev,
    } = start;
    signal_handlers::take(py).map_err(Failure::python(py))?;
    let dev = dev
        .map(|arguments| open_dev(py, arguments, &options))
        .transpose()?;
    // Signals stay blocked until their handlers are installed: the default action would end the
    // process and leave its sockets behind.
    let _ = SigSet::all().thread_block();
    let mut resumed = supervisor::resumed()?;
    let opened = match &mut resumed {
        Some(state) => {
            if let Some(path) = &options.error_log {
                log::reopen_error_log(path);
            }
            state.opened(&options)?
        }
        None => open(py, &program, &settings, &options)?,
    };
    let path = options.pid_file.as_deref();
    let _pid_file = if resumed.is_some() {
        PidFile::keep(path)
    } else {
        PidFile::write(path).inspect_err(|_| opened.close())?
    };
    if resumed.is_none() && dev.is_none() {
        warn_of_root(&options);
        banner::announce(py, &options, &opened);
    }
    let arguments = arguments.to_vec();
    let beginning = Beginning {
        environment,
        opened,
        resumed,
        python: banner::python().to_owned(),
        dev,
    };
    let ended = py.detach(|| supervisor::run(program, arguments, settings, options, beginning));
    Ok(ended?)
}

/// Prepares `scoter dev`, and says where it is.
fn open_dev(py: Python<'_>, arguments: DevArguments, options: &Options) -> Result<Dev, Failure> {
    // Flask does not let exceptions through to the server otherwise, and keeps old templates.
    let debug = std::env::var_os(FLASK_DEBUG).unwrap_or_else(|| "1".into());
    environment::set(py, &[(FLASK_DEBUG, debug)]).map_err(Failure::python(py))?;
    let dev = Dev::open(arguments)?;
    dev.announce(options);
    Ok(dev)
}

fn serve_alone(
    py: Python<'_>,
    program: &Program,
    settings: &Settings,
    options: Options,
    environment: &Environment,
) -> Result<Infallible, Failure> {
    if let Some(name) = &options.name {
        set_server_name(&name.0);
    }
    signals::block();
    watch_forks(py).map_err(Failure::python(py))?;
    let opened = open(py, program, settings, &options)?;
    describe_crashes_in(py, io::stderr()).map_err(Failure::python(py))?;
    application_output::take(py, &options).map_err(Failure::python(py))?;
    warn_of_root(&options);
    banner::announce(py, &options, &opened);
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        warn!(
            "--no-master does not notify systemd: use Type=exec, without WatchdogSec= or \
             ExecReload="
        );
    }
    environment::remove(py, &SUPERVISION).map_err(Failure::python(py))?;
    environment::set_for_application(py, environment).map_err(Failure::python(py))?;
    environment::warn_of_what_is_read_early(environment);
    let context = WorkerContext {
        board: Scoreboard::create(usize::from(options.threads))?,
        listeners: opened.listeners,
        master: MasterLink::None,
        queue: None,
        held: Vec::new(),
        multiprocess: false,
        master_files: Vec::new(),
        preloaded: None,
        development: None,
        options,
    };
    serve(py, context)
}

/// Binds the sockets and switches to `--user`, unless APP is a mistyped command.
fn open(
    py: Python<'_>,
    program: &Program,
    settings: &Settings,
    options: &Options,
) -> Result<Opened, Failure> {
    mistyped::check(py, program, settings, options)?;
    let start = Start {
        program,
        settings,
        options,
    };
    let opened = py.detach(|| start.open())?;
    environment::set(py, &opened.variables)
        .map_err(Failure::python(py))
        .inspect_err(|_| opened.close())?;
    Ok(opened)
}

/// <https://flask.palletsprojects.com/en/stable/config/#DEBUG>.
const FLASK_DEBUG: &str = "FLASK_DEBUG";
