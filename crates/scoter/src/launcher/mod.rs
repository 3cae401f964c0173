//! The launcher: one process per generation of the code, from which the workers are forked.
//!
//! It is started by exec and has one thread, so that forking is safe. With `--preload` it
//! imports the application first, and its workers share that memory. Once its channel to the
//! master has closed, it exits with its last worker.

mod fork_loop;
mod forked_worker;
mod master_watch;
mod preload;
mod prepared;
mod socket_cleanup;
mod wait;

use std::io;

use nix::sys::signal::SigSet;
use pyo3::prelude::*;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, getppid};
use rustix::stdio::{dup2_stdin, stdin};

use fork_loop::Launcher;
use master_watch::MasterWatch;
use preload::preload;
use prepared::Prepared;
use wait::wait;

use crate::config::Settings;
use crate::failure::Failure;
use crate::ipc::channel::{Channel, Received};
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::messages::{Configuration, FromLauncher, ToLauncher};
use crate::log::{self, Colours};
use crate::python::application_output;
use crate::python::faulthandler::describe_crashes_in;
use crate::python::fork_hooks::{watch_forks, watch_hooks_of_forks};
use crate::python::search_path;
use crate::python::start_watch::{StartWatch, too_late};
use crate::python::uwsgi_module;
use crate::start::StartError;
use crate::sys::descriptors::{fill_standard_streams, move_up};
use crate::sys::disposition::survive;
use crate::sys::file_limit;
use crate::sys::fork::{self, Own};
use crate::sys::process::exit_now;
use crate::sys::process_name::set_process_name;
use crate::sys::signals::ACTED_ON;

/// Runs a launcher, whose channel to the master is its standard input. Returns the exit code if it
/// fails before it can fork.
pub(crate) fn run(py: Python<'_>) -> u8 {
    fill_standard_streams();
    let Ok(channel) = take_channel() else {
        return 2;
    };
    match prepare(py, &channel) {
        Ok(Some(launcher)) => Launcher::new(channel, launcher).run(py),
        Ok(None) => 0,
        Err(failure) => {
            // The master reports the failure; without a master there is nothing to do.
            let _ = channel.send(&FromLauncher::Failed(failure.report()), &[]);
            failure.exit_code()
        }
    }
}

/// Moves the channel off descriptor 0, which the application uses as its standard input.
fn take_channel() -> io::Result<Channel> {
    let channel: Own = move_up(fcntl_dupfd_cloexec(stdin(), 3)?);
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    Ok(Channel::from(channel))
}

/// Receives the configuration, and loads the application if it is preloaded. `None` if the master
/// is gone.
fn prepare(py: Python<'_>, channel: &Channel) -> Result<Option<Prepared>, Failure> {
    set_process_name(None, "launcher");
    watch_forks(py).map_err(Failure::python(py))?;
    fork::replace(&ACTED_ON.map(|signal| signal as i32), || {
        ACTED_ON.into_iter().for_each(survive);
    });
    channel.send(
        &FromLauncher::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        &[],
    )?;
    let Some((configuration, mut fds)) = py.detach(|| await_configuration(channel))? else {
        return Ok(None);
    };
    let python = Failure::python(py);
    if let Some(crash) = fds.pop() {
        describe_crashes_in(py, crash).map_err(&python)?;
    }
    if let Some(facts) = configuration.uwsgi {
        let master = getppid().map_or(0, Pid::as_raw_pid);
        uwsgi_module::prepare(fds.pop(), master, facts)?;
    }
    let ends = fds.split_off(configuration.listeners.len().min(fds.len()));
    let mut queues = queues_of(ends).into_iter();
    let (queue, held) = (queues.next(), queues.collect());
    let mut options = Settings::from_json(&configuration.settings)
        .map_err(|error| error.to_string())
        .and_then(|settings| settings.options().map_err(|error| error.to_string()))
        .map_err(io::Error::other)?;
    if configuration.has_changed_directory {
        options.chdir = None;
    }
    if let Some(before) = configuration.file_limit {
        file_limit::inherit(before);
    }
    log::init(options.log_level, options.log_format, Colours::Auto);
    let name = options.name.as_ref();
    set_process_name(name.map(|name| name.0.as_str()), "launcher");
    search_path::apply(configuration.path, py).map_err(&python)?;
    application_output::take(py, &options).map_err(&python)?;
    let mut prepared = Prepared {
        options,
        listeners: configuration
            .listeners
            .into_iter()
            .zip(fds.into_iter().map(move_up))
            .collect(),
        files: configuration
            .control
            .into_iter()
            .chain(configuration.metrics)
            .chain(configuration.uwsgi_stats)
            .collect(),
        queue,
        held,
        preloaded: None,
        development: configuration.development,
    };
    // Every worker's slots need it: imported once, its pages are shared.
    py.import("threading").map_err(&python)?;
    if prepared.options.preload {
        let master_watch = MasterWatch::start(channel, prepared.cleanup()?)?;
        let answer = channel.try_clone()?;
        let timeout = prepared.options.start_timeout.0;
        let watch = StartWatch::post(py, timeout, move |doing| {
            let failed = too_late(doing);
            let code = failed.code;
            let _ = answer.send(&FromLauncher::Failed(failed), &[]);
            exit_now(code)
        });
        let (inherited, before) = (file_limit::inherited(), file_limit::open());
        let loaded = preload(py, &prepared.options);
        let taken = file_limit::open().saturating_sub(before);
        drop(watch);
        master_watch.stop();
        prepared.preloaded = Some(loaded?);
        let demand = prepared.options.demand(prepared.listeners.len());
        let checked = file_limit::check_preloaded(&demand, inherited + taken);
        checked.map_err(StartError::from)?;
    }
    watch_hooks_of_forks(py).map_err(&python)?;
    Ok(Some(prepared))
}

/// Pairs the ends of queues.
fn queues_of(ends: Vec<Own>) -> Vec<ConnectionQueue> {
    let (mut queues, mut ends) = (Vec::new(), ends.into_iter().map(move_up::<Own>));
    while let Some((sender, receiver)) = ends.next().zip(ends.next()) {
        queues.push(ConnectionQueue::of([sender, receiver]));
    }
    queues
}

fn await_configuration(channel: &Channel) -> io::Result<Option<(Configuration, Vec<Own>)>> {
    loop {
        wait(Some(channel), SigSet::empty())?;
        match channel.receive() {
            Ok(Received::Message(ToLauncher::Configure, mut fds)) if !fds.is_empty() => {
                let configuration = Configuration::from_memory(fds.remove(0).into())?;
                return Ok(Some((configuration, fds)));
            }
            Ok(Received::Message(ToLauncher::Configure, _)) => {
                return Err(io::Error::other("the configuration did not arrive"));
            }
            Ok(Received::Message(ToLauncher::ErrorLog, fds)) => {
                fds.iter().for_each(log::take_error_log);
            }
            Ok(Received::Message(ToLauncher::Fork { .. }, _)) => {}
            Ok(Received::Message(ToLauncher::End, _) | Received::End) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
