//! The sockets a master starts with: those it binds, those it is given, and its own.

use std::env;

use tracing::warn;

use super::privileges::Identity;
use crate::config::Options;
use crate::control::ControlListener;
use crate::failure::Failure;
use crate::listen::{self, AllowList, BindError, Listener, Permissions};
use crate::server::permissions;

/// Opens all of them, or none.
///
/// # Errors
///
/// [`Failure`] names the socket that could not be had.
pub(super) fn open(
    options: &Options,
    identity: &Identity,
) -> Result<(Vec<Listener>, Option<ControlListener>), Failure> {
    let (user, group) = identity.owner();
    let permissions = permissions(options)?.or_owned_by(user, group);
    let listeners = bind(options, permissions)?;
    let control = match options.control.path(&options.bind) {
        None => None,
        Some(path) => match ControlListener::bind(&path, user) {
            Ok(control) => Some(control),
            Err(error) => {
                listeners.iter().for_each(Listener::close_to_newcomers);
                return Err(error.into());
            }
        },
    };
    Ok((listeners, control))
}

/// Opens the sockets that requests come from: those of `--bind`, and those that systemd has
/// bound.
///
/// # Errors
///
/// [`Failure`] names the socket that could not be had. Those before it are closed again.
pub(crate) fn bind(options: &Options, permissions: Permissions) -> Result<Vec<Listener>, Failure> {
    let settings = listen::Settings {
        permissions,
        backlog: options.backlog,
        allow: AllowList::new(options.allow.clone()),
    };
    let mut listeners: Vec<Listener> = Vec::new();
    let bound = options
        .bind
        .iter()
        .try_for_each(|address| {
            listeners.push(Listener::bind(address, &settings)?);
            Ok::<_, BindError>(())
        })
        .and_then(|()| {
            for number in activated() {
                listeners.push(Listener::inherit(number, &settings.allow)?);
            }
            Ok(())
        });
    if let Err(error) = bound {
        listeners.iter().for_each(Listener::close_to_newcomers);
        return Err(error.into());
    }
    if listeners.is_empty() {
        return Err(Failure::NoAddress);
    }
    Ok(listeners)
}

/// Descriptors that systemd has passed: sd_listen_fds(3).
fn activated() -> Vec<i32> {
    match sd_notify::listen_fds() {
        Ok(numbers) => numbers.collect(),
        Err(error) => {
            let (fds, pid) = (env::var("LISTEN_FDS"), env::var("LISTEN_PID"));
            warn!(%error, ?fds, ?pid, "socket activation is not understood");
            Vec::new()
        }
    }
}
