//! The application: how it is named, found and loaded, and the errors if that fails.

mod code;
mod deployment;
mod environments;
mod interface;
mod not_found;
mod source;
pub(crate) mod static_files;
mod uwsgi_advice;

use std::io;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::PyList;
use thiserror::Error;

use crate::config::{Options, Target};
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;
use crate::python::uwsgi_module;
use crate::sys::working_directory::working_directory;
use interface::Misfit;
use not_found::not_found;

/// Why no application could be loaded.
#[derive(Debug, Error)]
pub(crate) enum ApplicationError {
    /// `--chdir`.
    #[error("cannot change to {}: {error}\nhint: --chdir names a directory", path.display())]
    Chdir { path: PathBuf, error: io::Error },
    /// The working directory.
    #[error(
        "cannot use the working directory {}: {error}\nhint: it may have been deleted; --chdir \
         sets another", path.display()
    )]
    Directory { path: PathBuf, error: io::Error },
    /// The application itself.
    #[error("cannot load the application{}: {error}", place(path))]
    Load {
        /// Where it is mounted; empty for APP.
        path: String,
        error: LoadError,
    },
    /// Python.
    #[error("cannot start{0}")]
    Python(String),
}

impl ApplicationError {
    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Chdir { .. } | Self::Directory { .. } => 2,
            Self::Load { .. } => 3,
            Self::Python(_) => 1,
        }
    }
}

/// Why there is no application to serve.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// No directory of `sys.path` has the module.
    #[error(
        "there is no module {name:?}, and no file of that name in {}\nsearched: {}\nhint: {hint}",
        here.display(),
        searched.join(", ")
    )]
    NoModule {
        /// The module as named.
        name: String,
        /// The working directory.
        here: PathBuf,
        /// `sys.path`.
        searched: Vec<String>,
        /// What may have been meant.
        hint: String,
    },
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NoFile {
        /// The file as named.
        path: PathBuf,
    },
    /// The import raised an exception.
    #[error("{target} could not be imported{traceback}{advice}")]
    Import {
        /// The module or file.
        target: String,
        /// The exception as Python prints it.
        traceback: String,
        /// What to do about it, on lines of its own, where that is known.
        advice: String,
    },
    /// The module has no such attribute.
    #[error("{module} has no callable {}\nhint: {hint}", tried.join(" or "))]
    NoCallable {
        /// The module.
        module: String,
        /// Names that were tried.
        tried: Vec<String>,
        /// What the module has instead.
        hint: String,
    },
    /// The attribute is something else.
    #[error("{name} is {type_name}, which cannot be called\nhint: {hint}")]
    NotCallable {
        /// The attribute, with its module.
        name: String,
        /// Its type.
        type_name: String,
        /// What to do.
        hint: &'static str,
    },
    /// The attribute can be called, but not as what the configuration calls it.
    #[error("{name} {}\nhint: {hint}", misfit.describe())]
    Misfit {
        /// The attribute, with its module.
        name: String,
        /// What it is.
        misfit: Misfit,
        /// What to do.
        hint: String,
    },
    /// Nothing that reads files of PasteDeploy is installed.
    #[error(
        "{file} is a file of PasteDeploy, and neither plaster_pastedeploy nor PasteDeploy is \
         installed beside scoter{advice}"
    )]
    NoPasteDeploy {
        /// The file, with the application.
        file: String,
        /// What to do, on lines of its own.
        advice: String,
    },
    /// The file has no such section.
    #[error("{file} has no application {name:?}\nhint: {hint}")]
    NoSection {
        /// The file.
        file: String,
        /// The application's name.
        name: String,
        /// What the file has instead.
        hint: String,
    },
    /// The factory raised an exception.
    #[error("the factory {name} failed{traceback}")]
    Factory {
        /// The factory.
        name: String,
        /// The exception as Python prints it.
        traceback: String,
    },
}

/// Whether the callable is the application or a factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It takes `(environ, start_response)`.
    Application,
    /// It takes no arguments and returns the application.
    Factory,
}

/// What is served.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The application of all paths at which nothing is mounted: that of APP, or else one that answers
    /// 404.
    pub(crate) application: Py<PyAny>,
    /// The applications of certain paths.
    pub(crate) mounts: Vec<MountedApplication>,
    /// The names of all: `module:callable`, with their paths.
    pub(crate) name: String,
}

/// An application of a certain path.
#[derive(Debug)]
pub(crate) struct MountedApplication {
    /// Without a slash at the end.
    pub(crate) path: String,
    pub(crate) application: Py<PyAny>,
}

impl Loaded {
    /// Changes to the application's directory, and imports all that is served.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] says what was looked for, and where.
    pub(crate) fn load(py: Python<'_>, options: &Options) -> Result<Self, ApplicationError> {
        if let Some(path) = &options.chdir {
            std::env::set_current_dir(path).map_err(|error| ApplicationError::Chdir {
                path: path.clone(),
                error,
            })?;
        }
        let here = std::env::current_dir().map_err(|error| ApplicationError::Directory {
            path: working_directory().to_owned(),
            error,
        })?;
        let directories = std::iter::once(here.clone())
            .chain(options.pythonpath.iter().rev().map(|path| here.join(path)));
        for directory in directories {
            prepend_to_path(py, &directory)
                .map_err(|error| ApplicationError::Python(explained(py, &error)))?;
        }
        uwsgi_module::install(py, options)
            .map_err(|error| ApplicationError::Python(explained(py, &error)))?;
        let kind = if options.factory {
            Kind::Factory
        } else {
            Kind::Application
        };
        let python = |error: PyErr| ApplicationError::Python(explained(py, &error));
        let mut loaded = Self {
            application: not_found(py).map_err(python)?,
            mounts: Vec::new(),
            name: String::new(),
        };
        for (path, target) in options.targets() {
            let found = target.load(py, kind);
            let (application, name) = found.map_err(|error| ApplicationError::Load {
                path: path.to_owned(),
                error,
            })?;
            loaded.add(path, application, &name);
        }
        Ok(loaded)
    }

    /// All that is served.
    pub(crate) fn applications(&mut self) -> impl Iterator<Item = &mut Py<PyAny>> {
        let mounts = self.mounts.iter_mut().map(|it| &mut it.application);
        std::iter::once(&mut self.application).chain(mounts)
    }

    fn add(&mut self, path: &str, application: Py<PyAny>, name: &str) {
        if !self.name.is_empty() {
            self.name.push_str(", ");
        }
        if path.is_empty() {
            self.application = application;
        } else {
            self.name.push_str(path);
            self.name.push('=');
            self.mounts.push(MountedApplication {
                path: path.to_owned(),
                application,
            });
        }
        self.name.push_str(name);
    }
}

impl Target {
    fn load(&self, py: Python<'_>, kind: Kind) -> Result<(Py<PyAny>, String), LoadError> {
        match self {
            Self::Code(code) => code.load(py, kind),
            Self::Deployment(deployment) => deployment.load(py),
        }
    }
}

/// Names the path that an error is about.
fn place(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(" of {path}"),
    }
}

/// Puts a directory in front of `sys.path`.
fn prepend_to_path(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    path.insert(0, directory.as_os_str())
}

/// An exception as Python prints it, with a hint.
fn explained(py: Python<'_>, error: &PyErr) -> String {
    traceback(py, error) + &limit_hint(py, error)
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().to_string()
}
