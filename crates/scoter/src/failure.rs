//! Why scoter does not serve.

use std::io;

use pyo3::prelude::*;
use thiserror::Error;

use crate::ipc::messages::Failed;
use crate::log::OpenError;
use crate::net::BindError;
use crate::python::application::ApplicationError;
use crate::python::hooks::HookError;
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;
use crate::start::StartError;
use crate::supervisor::DevError;
use crate::sys::limits;

/// Why a start failed. The exit code says what has to be fixed.
///
/// | code | meaning |
/// |---|---|
/// | 1 | a failure of the system |
/// | 2 | arguments or a configuration that are wrong, or a socket that cannot be had |
/// | 3 | the application could not be loaded |
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Preparing the start, such as binding sockets.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What `scoter dev` has beside the server.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// `--access-log`.
    #[error(transparent)]
    AccessLog(#[from] OpenError),
    /// The application.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// `--warm-up`.
    #[error("the application is loaded, but --warm-up failed: {0}")]
    WarmUp(String),
    /// A hook of the application.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The system.
    #[error("cannot start: {}{}", .0, limits::hint_for(.0))]
    System(#[from] io::Error),
    /// Python.
    #[error("cannot start{0}")]
    Python(String),
}

impl Failure {
    /// A failure of Python itself.
    pub(crate) fn python(py: Python<'_>) -> impl Fn(PyErr) -> Self {
        move |error| Self::Python(traceback(py, &error) + &limit_hint(py, &error))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::System(_) | Self::Python(_) => 1,
            Self::Start(error) => error.exit_code(),
            Self::AccessLog(_) | Self::Dev(_) => 2,
            Self::Application(error) => error.exit_code(),
            Self::WarmUp(_) | Self::Hook(_) => 3,
        }
    }

    /// Whether the application's code has to be mended.
    pub(crate) fn is_of_the_application(&self) -> bool {
        self.exit_code() == 3
    }

    /// The failure in the form that is sent to the master.
    pub(crate) fn report(&self) -> Failed {
        Failed::new(self.exit_code(), &self.to_string())
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Start(error.into())
    }
}
