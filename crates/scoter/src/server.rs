//! Serving, from the options to the exit code.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use thiserror::Error;
use tracing::{error, info};
use wsgi_environ::{ForwardedProto, ServerInfo};

use crate::access_log::AccessLog;
use crate::application::{Kind, LoadError, Loaded, prepend_to_path};
use crate::config::{AccessLogTo, Options};
use crate::interpreter::{self, SignalWakeups, traceback};
use crate::listen::{self, Address, AllowList, BindError, Listener, Permissions};
use crate::log;
use crate::process::exit_now;
use crate::signals::{Dispositions, Signals};
use crate::worker::{Shared, Slot, start_reactor};

/// Serves, and returns the exit code where that was not possible. A server that was stopped
/// leaves from within, with 0.
pub(crate) fn run(py: Python<'_>, options: &Options) -> u8 {
    log::init(options.log_level);
    std::panic::set_hook(Box::new(|panic| error!(%panic, "bug in scoter")));
    match serve(py, options) {
        Ok(()) => 0,
        Err(failure) => {
            error!("{failure}");
            failure.exit_code()
        }
    }
}

/// Why scoter did not serve.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("there is no address to listen on\nhint: --bind unix:/run/myproject/scoter.sock")]
    NoAddress,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot change to {}: {error}\nhint: --chdir names a directory", path.display())]
    Chdir { path: PathBuf, error: io::Error },
    #[error("cannot open the access log {}: {error}", path.display())]
    AccessLog { path: PathBuf, error: io::Error },
    #[error("cannot load the application: {0}")]
    Load(#[from] LoadError),
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    #[error("cannot start{0}")]
    Python(String),
}

impl StartError {
    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::System(_) | Self::Python(_) => 1,
            Self::NoAddress | Self::Bind(_) | Self::Chdir { .. } | Self::AccessLog { .. } => 2,
            Self::Load(_) => 3,
        }
    }
}

fn serve(py: Python<'_>, options: &Options) -> Result<(), StartError> {
    let python = |error: PyErr| StartError::Python(traceback(py, &error));

    if options.bind.is_empty() {
        return Err(StartError::NoAddress);
    }
    // Sockets first: two servers in one place are found out before anything is imported.
    let listeners = bind(options)?;
    let access_log = open_access_log(&options.access_log)?;
    interpreter::leave_signals_to_us(py).map_err(python)?;
    let (shared, handoffs) = Shared::new(listeners, access_log, options)?;
    let slots = usize::from(options.threads);
    let timeout = options.graceful_timeout.0;
    start_reactor(Arc::clone(&shared), handoffs, slots, || {
        Ok(Signals::install()?.watch(Arc::clone(&shared), timeout))
    })?;

    let served = load_and_serve(py, options, &shared);
    shared.close_to_newcomers();
    shared.access_log.close();
    // Python writes there until the end of the process.
    let _wakeups = served?;
    info!("stopped");
    // The reactor still enforces --graceful-timeout.
    let spent = shared.stop.begun_for().unwrap_or_default();
    interpreter::run_exit_handlers(py, timeout.saturating_sub(spent + EXIT_HANDLERS_TIME));
    // The interpreter's teardown and daemon threads get in each other's way.
    exit_now(0)
}

fn load_and_serve(
    py: Python<'_>,
    options: &Options,
    shared: &Arc<Shared>,
) -> Result<SignalWakeups, StartError> {
    let python = |error: PyErr| StartError::Python(traceback(py, &error));

    let dispositions = Dispositions::current();
    let started = Instant::now();
    let loaded = load(py, options)?;
    dispositions.restore();
    let import_time = started.elapsed();

    let wakeups = SignalWakeups::install(py).map_err(python)?;
    let slots = make_slots(py, options, shared, &loaded, &wakeups).map_err(python)?;
    announce(py, options, shared, &loaded, import_time.as_millis());
    shared.begin_serving();
    run_slots(py, slots).map_err(python)?;
    py.detach(|| shared.wait_for_departures());
    Ok(wakeups)
}

fn bind(options: &Options) -> Result<Vec<Listener>, BindError> {
    let settings = listen::Settings {
        permissions: permissions(options)?,
        backlog: options.backlog,
        allow: AllowList::new(options.allow.clone()),
    };
    let mut listeners: Vec<Listener> = Vec::with_capacity(options.bind.len());
    for address in &options.bind {
        match Listener::bind(address, &settings) {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                for listener in &listeners {
                    listener.close_to_newcomers();
                }
                return Err(error);
            }
        }
    }
    Ok(listeners)
}

/// Looks up who Unix sockets belong to.
pub(crate) fn permissions(options: &Options) -> Result<Permissions, BindError> {
    let owner = options.socket_owner.as_deref();
    let group = options.socket_group.as_deref();
    Ok(Permissions::new(options.socket_mode.0, owner, group)?)
}

fn open_access_log(to: &AccessLogTo) -> Result<AccessLog, StartError> {
    AccessLog::open(to).map_err(|error| match to {
        AccessLogTo::File(path) => StartError::AccessLog {
            path: path.clone(),
            error,
        },
        AccessLogTo::Stdout | AccessLogTo::Stderr | AccessLogTo::Off => StartError::System(error),
    })
}

/// Goes to the directory of the application, and imports it.
pub(crate) fn load(py: Python<'_>, options: &Options) -> Result<Loaded, StartError> {
    if let Some(path) = &options.chdir {
        std::env::set_current_dir(path).map_err(|error| StartError::Chdir {
            path: path.clone(),
            error,
        })?;
    }
    let here = std::env::current_dir()?;
    let directories = std::iter::once(here.clone())
        .chain(options.pythonpath.iter().rev().map(|path| here.join(path)));
    for directory in directories {
        prepend_to_path(py, &directory)
            .map_err(|error| StartError::Python(traceback(py, &error)))?;
    }
    let kind = if options.factory {
        Kind::Factory
    } else {
        Kind::Application
    };
    Ok(options.app.load(py, kind)?)
}

fn make_slots(
    py: Python<'_>,
    options: &Options,
    shared: &Arc<Shared>,
    loaded: &Loaded,
    wakeups: &SignalWakeups,
) -> PyResult<Vec<Slot>> {
    let server = server_info(options, shared);
    (0..options.threads)
        .map(|index| {
            // The first slot runs in the main thread, where Python runs signal handlers.
            let signals = match index {
                0 => Some(wakeups.receiver()?),
                _ => None,
            };
            let application = loaded.application.clone_ref(py);
            Slot::new(py, Arc::clone(shared), application, &server, signals)
        })
        .collect()
}

/// What requests are told where the front end says nothing.
fn server_info(options: &Options, shared: &Shared) -> ServerInfo {
    let tcp = shared
        .listeners
        .iter()
        .find_map(|listener| match listener.address() {
            Address::Tcp(address) => Some(address),
            Address::Unix(_) | Address::Abstract(_) | Address::Inherited(_) => None,
        });
    ServerInfo {
        multithread: options.threads > 1,
        multiprocess: false,
        server_name: tcp.map_or_else(|| "localhost".to_owned(), |tcp| tcp.ip().to_string()),
        server_port: tcp.map_or(80, SocketAddr::port),
        forwarded_proto: if options.trust_forwarded_proto {
            ForwardedProto::Trust
        } else {
            ForwardedProto::Ignore
        },
    }
}

fn announce(py: Python<'_>, options: &Options, shared: &Shared, loaded: &Loaded, import_ms: u128) {
    let python = Python::version_str().split(' ').next().unwrap_or_default();
    let gil = py
        .import("sys")
        .and_then(|sys| sys.call_method0("_is_gil_enabled"))
        .and_then(|enabled| enabled.extract())
        .unwrap_or(true);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        python,
        gil,
        "scoter starts"
    );
    for listener in shared.listeners.iter().take(MOST_ANNOUNCED) {
        info!(address = %listener, "listening");
    }
    if let Some(more @ 1..) = shared.listeners.len().checked_sub(MOST_ANNOUNCED) {
        info!(more, "listening elsewhere too");
    }
    info!(name = loaded.name, import_ms, "application loaded");
    info!(threads = options.threads, "ready");
}

/// Runs the slots until the worker stops: the first one here, the others in threads of
/// Python, so that `threading` and everything built on it knows them.
fn run_slots(py: Python<'_>, slots: Vec<Slot>) -> PyResult<()> {
    let mut slots = slots.into_iter();
    let Some(main) = slots.next() else {
        return Ok(());
    };
    let class = py.import("threading")?.getattr("Thread")?;
    let threads = (1..)
        .zip(slots)
        .map(|(index, slot)| {
            let slot = Mutex::new(Some(slot));
            let target = PyCFunction::new_closure(py, Some(c"slot"), None, move |args, _| {
                let slot = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(slot) = slot {
                    slot.run(args.py());
                }
            })?;
            let arguments = PyDict::new(py);
            arguments.set_item("target", target)?;
            arguments.set_item("name", format!("scoter-slot-{index}"))?;
            // A request that never ends must not keep the interpreter from its exit.
            arguments.set_item("daemon", true)?;
            let thread = class.call((), Some(&arguments))?;
            thread.call_method0("start")?;
            Ok(thread)
        })
        .collect::<PyResult<Vec<_>>>()?;
    main.run(py);
    for thread in threads {
        thread.call_method0("join")?;
    }
    Ok(())
}

/// What is left of `--graceful-timeout` for exit handlers when threads do not end.
const EXIT_HANDLERS_TIME: Duration = Duration::from_secs(1);

/// Addresses named at start, so that the whole of it stays within six lines.
const MOST_ANNOUNCED: usize = 2;
