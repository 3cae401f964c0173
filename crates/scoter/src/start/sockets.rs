//! The sockets a server starts with: bound, inherited, and its control socket.

use std::env;
use std::path::Path;

use nix::unistd::Uid;
use tracing::warn;

use super::Opened;
use super::error::StartError;
use super::identity::Identity;
use crate::config::Options;
use crate::control::{ControlListener, ControlLocation, ReaderListener};
use crate::net::{self, Address, AllowList, BindError, Listener, MAX_PATH, Permissions};

/// Opens all sockets, or none.
///
/// # Errors
///
/// [`StartError`] names the socket that could not be opened.
pub(super) fn open(options: &Options, identity: &Identity) -> Result<Opened, StartError> {
    refuse_repeated(options)?;
    let settings = settings(options, identity)?;
    let (user, _) = identity.owner();
    let mut opened = Opened {
        listeners: Vec::new(),
        control: None,
        readers: Vec::new(),
        variables: Vec::new(),
    };
    match fill(&mut opened, options, &settings, user) {
        Ok(()) => Ok(opened),
        Err(failure) => {
            opened.close();
            Err(failure)
        }
    }
}

/// The number of sockets that [`open`] opens to accept connections.
pub(super) fn count(options: &Options) -> usize {
    let activated = sd_notify::listen_fds().map_or(0, |numbers| numbers.len());
    options.bind.len() + activated
}

/// Checks whether [`open`] would succeed, without binding a socket. A socket of a running server is
/// not an error: it may be the server to be reloaded or replaced.
///
/// # Errors
///
/// As [`open`].
pub(super) fn check(options: &Options, identity: &Identity) -> Result<(), StartError> {
    refuse_repeated(options)?;
    let settings = settings(options, identity)?;
    let (user, _) = identity.owner();
    for address in &options.bind {
        Listener::check(address, &settings)?;
    }
    if options.bind.is_empty() && activated().is_empty() {
        return Err(StartError::NoAddress);
    }
    if !options.no_master {
        for (service, address) in options.readers() {
            ReaderListener::check(service, address, &reader_settings(options, &settings))?;
        }
    }
    let control = options.control.path(&options.bind);
    match control.filter(|path| !options.no_master && !is_too_long(options, path)) {
        Some(path) => Ok(ControlListener::check(&path, user)?),
        None => Ok(()),
    }
}

/// What all listening sockets have in common.
fn settings(options: &Options, identity: &Identity) -> Result<net::Settings, StartError> {
    let (user, group) = identity.owner();
    Ok(net::Settings {
        permissions: permissions(options)?.or_owned_by(user, group),
        backlog: options.backlog,
        allow: AllowList::new(options.allow.clone()),
    })
}

/// The same for the sockets of `--metrics` and `--uwsgi-stats`, but for who may connect and how many wait.
fn reader_settings(options: &Options, settings: &net::Settings) -> net::Settings {
    net::Settings {
        permissions: settings.permissions,
        backlog: READER_BACKLOG,
        allow: AllowList::new(options.metrics_allow.clone()),
    }
}

/// Of two sockets with one address the second would find the first one in its way.
fn refuse_repeated(options: &Options) -> Result<(), StartError> {
    let readers = || options.readers().map(|(_, address)| address);
    let addresses: Vec<_> = options.bind.iter().chain(readers()).collect();
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) && !address.is_any_port() {
            return Err(StartError::Repeated(address.to_string()));
        }
    }
    let control = options.control.path(&options.bind).map(Address::Unix);
    if let Some(address) = readers().find(|address| control.as_ref() == Some(*address)) {
        return Err(StartError::Repeated(address.to_string()));
    }
    let ControlLocation::At(control) = &options.control else {
        return Ok(());
    };
    let is_control = |address: &Address| matches!(address, Address::Unix(path) if path == control);
    if options.bind.iter().any(is_control) && !options.no_master {
        return Err(StartError::ControlIsBound(control.clone()));
    }
    Ok(())
}

/// Whether the default path is too long for a socket.
fn is_too_long(options: &Options, control: &Path) -> bool {
    options.control == ControlLocation::Beside && control.as_os_str().len() > MAX_PATH
}

fn fill(
    opened: &mut Opened,
    options: &Options,
    settings: &net::Settings,
    user: Option<Uid>,
) -> Result<(), StartError> {
    let listeners = &mut opened.listeners;
    for address in &options.bind {
        listeners.push(Listener::bind(address, settings)?);
    }
    for number in activated() {
        let listener = Listener::inherit(number, &settings.allow);
        listeners.push(listener.map_err(BindError::from)?);
    }
    if listeners.is_empty() {
        return Err(StartError::NoAddress);
    }
    if options.no_master {
        return Ok(());
    }
    for (service, address) in options.readers() {
        let settings = reader_settings(options, settings);
        let listener = ReaderListener::bind(service, address, &settings)?;
        opened.readers.push(listener);
    }
    match options.control.path(&options.bind) {
        Some(path) if is_too_long(options, &path) => {
            warn!(
                "no control socket: its path next to the first Unix socket would be too long (set \
                 --control PATH)"
            );
        }
        Some(path) => opened.control = Some(ControlListener::bind(&path, user)?),
        None if options.control == ControlLocation::Beside => {
            warn!(
                "no control socket: --bind has no Unix socket to put it next to (set --control \
                 PATH)"
            );
        }
        None => {}
    }
    Ok(())
}

/// Looks up the owner and group of Unix sockets.
///
/// # Errors
///
/// [`StartError::Bind`] if there is no such user or group.
pub(super) fn permissions(options: &Options) -> Result<Permissions, StartError> {
    let owner = options.socket_owner.as_deref();
    let group = options.socket_group.as_deref();
    Ok(Permissions::new(options.socket_mode.0, owner, group).map_err(BindError::from)?)
}

/// Descriptors that systemd has passed: sd_listen_fds(3).
fn activated() -> Vec<i32> {
    match sd_notify::listen_fds() {
        Ok(numbers) => numbers.collect(),
        Err(error) => {
            let (fds, pid) = (env::var("LISTEN_FDS"), env::var("LISTEN_PID"));
            warn!(%error, ?fds, ?pid, "cannot read the variables of socket activation");
            Vec::new()
        }
    }
}

/// Readers that may wait to be accepted: the master has time for them at once.
const READER_BACKLOG: u32 = 64;
