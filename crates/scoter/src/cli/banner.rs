//! The log messages of a start.

use pyo3::prelude::*;
use tracing::info;

use crate::config::Options;
use crate::control::Service;
use crate::start::Opened;

/// Introduces the server: version, name, Python, addresses.
pub(crate) fn announce(py: Python<'_>, options: &Options, opened: &Opened) {
    let gil = py
        .import("sys")
        .and_then(|sys| sys.call_method0("_is_gil_enabled"))
        .and_then(|enabled| enabled.extract())
        .unwrap_or(true);
    let python = python();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        name = options.name.as_ref().map(|name| name.0.as_str()),
        python,
        gil,
        "scoter starts"
    );
    let listeners = &opened.listeners;
    for listener in listeners.iter().take(MAX_ANNOUNCED) {
        info!(address = %listener, "listening");
    }
    if let Some(more @ 1..) = listeners.len().checked_sub(MAX_ANNOUNCED) {
        info!(more, "listening on more addresses");
    }
    for reader in &opened.readers {
        let address = reader.address();
        match reader.service() {
            Service::Metrics => info!(%address, "serving metrics"),
            Service::UwsgiStats(_) => info!(%address, "serving uWSGI's statistics"),
        }
    }
}

/// The version of Python.
pub(crate) fn python() -> &'static str {
    Python::version_str().split(' ').next().unwrap_or_default()
}

/// Addresses named at the start, which keeps the banner within six lines.
const MAX_ANNOUNCED: usize = 2;
