//! The application: how it is named, found and loaded, and the errors if that fails.

mod environments;
mod interface;
mod source;
pub(crate) mod static_files;
mod uwsgi_advice;

use std::io;
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use thiserror::Error;

use crate::config::{Options, Source, Target};
use crate::python::child_exit;
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;
use crate::python::uwsgi_module;
use crate::sys::working_directory::working_directory;
use interface::{Interface, Misfit, judge};

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
    #[error("cannot load the application: {0}")]
    Load(#[from] LoadError),
    /// Python.
    #[error("cannot start{0}")]
    Python(String),
}

impl ApplicationError {
    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Chdir { .. } | Self::Directory { .. } => 2,
            Self::Load(_) => 3,
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

/// A loaded application and its name.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The callable.
    pub(crate) application: Py<PyAny>,
    /// `module:callable`.
    pub(crate) name: String,
}

impl Loaded {
    /// Changes to the application's directory, and imports it.
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
        Ok(options.app.load(py, kind)?)
    }
}

impl Target {
    /// Imports the application.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what was searched and what was found instead.
    fn load<'py>(&self, py: Python<'py>, kind: Kind) -> Result<Loaded, LoadError> {
        let module = self.source.import(py)?;
        let module_name = module.name().map_or_else(
            |_| self.to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let (attribute, callable) = self.find(&module, &module_name, kind)?;
        let name = format!("{module_name}:{attribute}");
        let fit = |name: &str, object: &Bound<'py, PyAny>, kind| {
            let misfit = Interface::of(object).and_then(|interface| judge(&interface, kind));
            misfit.map_or(Ok(()), |misfit| {
                Err(LoadError::Misfit {
                    hint: self.hint_for(&misfit, &module),
                    name: name.to_owned(),
                    misfit,
                })
            })
        };
        fit(&name, &callable, kind)?;
        let application = match kind {
            Kind::Application => callable,
            Kind::Factory => {
                let made = child_exit::checked(py, callable.call0()).map_err(|error| {
                    LoadError::Factory {
                        name: name.clone(),
                        traceback: explained(py, &error),
                    }
                })?;
                let what = format!("what {name} returned");
                if !made.is_callable() {
                    return Err(LoadError::NotCallable {
                        type_name: type_name(&made),
                        hint: "a factory must return the WSGI application",
                        name: what,
                    });
                }
                fit(&what, &made, Kind::Application)?;
                made
            }
        };
        Ok(Loaded {
            application: application.unbind(),
            name,
        })
    }

    /// What to do about a callable that is something else.
    fn hint_for(&self, misfit: &Misfit, module: &Bound<'_, PyModule>) -> String {
        let beside = match misfit {
            Misfit::Asgi { .. } | Misfit::Asynchronous => self.wsgi_beside(module),
            _ => None,
        };
        beside.map_or_else(
            || misfit.hint().to_owned(),
            |target| format!("the WSGI application is next to it: use {target}"),
        )
    }

    /// `mysite.wsgi` for `mysite.asgi`, if there is one.
    fn wsgi_beside(&self, module: &Bound<'_, PyModule>) -> Option<Self> {
        let file: PathBuf = module.getattr("__file__").ok()?.extract().ok()?;
        let is_beside = file.ends_with("asgi.py") && file.with_file_name("wsgi.py").is_file();
        is_beside.then(|| Self {
            source: match &self.source {
                Source::Module(name) => {
                    Source::Module(name.strip_suffix("asgi").unwrap_or(name).to_owned() + "wsgi")
                }
                Source::File(_) => Source::File(file.with_file_name("wsgi.py")),
            },
            callable: None,
        })
    }

    fn find<'py>(
        &self,
        module: &Bound<'py, PyModule>,
        module_name: &str,
        kind: Kind,
    ) -> Result<(String, Bound<'py, PyAny>), LoadError> {
        let py = module.py();
        let tried: Vec<&str> = match &self.callable {
            Some(callable) => vec![callable],
            None => USUAL_NAMES.to_vec(),
        };
        for name in &tried {
            let found = name
                .split('.')
                .try_fold(module.clone().into_any(), |object, part| {
                    object.getattr(part)
                });
            let found = child_exit::checked(py, found);
            match found {
                Ok(object) if object.is_callable() => return Ok(((*name).to_owned(), object)),
                Ok(object) => {
                    return Err(LoadError::NotCallable {
                        type_name: type_name(&object),
                        hint: "name the WSGI callable after a colon: module:callable",
                        name: format!("{module_name}:{name}"),
                    });
                }
                Err(error) if error.is_instance_of::<PyAttributeError>(py) => {}
                Err(error) => {
                    return Err(LoadError::Import {
                        target: format!("{module_name}:{name}"),
                        traceback: traceback(py, &error),
                        advice: limit_hint(py, &error),
                    });
                }
            }
        }
        Err(LoadError::NoCallable {
            module: module_name.to_owned(),
            tried: tried.iter().map(|name| format!("{name:?}")).collect(),
            hint: self.what_there_is(module, module_name, kind, &tried),
        })
    }

    /// Names what may have been meant: first what can be served, then every callable that the module
    /// itself defines.
    fn what_there_is(
        &self,
        module: &Bound<'_, PyModule>,
        module_name: &str,
        kind: Kind,
        tried: &[&str],
    ) -> String {
        let found = Callables::of(module, module_name, kind);
        let as_named = |name: &str| Self {
            source: self.source.clone(),
            callable: Some(name.to_owned()),
        };
        if let Some(name) = found.meant_by(tried) {
            return format!("did you mean {}?", as_named(name));
        }
        let (names, advice) = match (&*found.fitting(), &*found.others) {
            ([], []) => return "the module defines nothing that can be called".to_owned(),
            ([], others) => (
                others.to_vec(),
                " (with --factory, if it makes the application)",
            ),
            (fitting, _) => (fitting.to_vec(), ""),
        };
        format!(
            "it has {}: name one after a colon, as in {}{advice}",
            names[..names.len().min(MAX_NAMED)].join(", "),
            as_named(&names[0])
        )
    }
}

/// Callables of a module with public names.
#[derive(Debug, Default)]
struct Callables {
    /// Objects whose class, which another module may define, makes them what is looked for.
    objects: Vec<String>,
    /// Functions and classes of the module itself that can be called as what is looked for.
    functions: Vec<String>,
    /// The module's other callables.
    others: Vec<String>,
}

impl Callables {
    fn of(module: &Bound<'_, PyModule>, module_name: &str, kind: Kind) -> Self {
        let mut found = Self::default();
        for (name, object) in module.dict() {
            let name = name.extract::<String>().ok();
            let Some(name) = name.filter(|name| !name.starts_with('_')) else {
                continue;
            };
            if !object.is_callable() {
                continue;
            }
            let interface = Interface::of(&object);
            let is_fitting = interface
                .as_ref()
                .is_some_and(|it| judge(it, kind).is_none());
            let is_object = interface.is_some_and(|it| it.is_object());
            let defined_in = || object.getattr("__module__");
            let is_own = || {
                defined_in().is_ok_and(|it| it.extract::<&str>().is_ok_and(|it| it == module_name))
            };
            if is_fitting && is_object {
                found.objects.push(name);
            } else if is_own() {
                let names = if is_fitting {
                    &mut found.functions
                } else {
                    &mut found.others
                };
                names.push(name);
            }
        }
        found
    }

    /// What can be served, the most probable first.
    fn fitting(&self) -> Vec<String> {
        [&*self.objects, &*self.functions].concat()
    }

    /// The one that was meant, if that is clear.
    fn meant_by(&self, tried: &[&str]) -> Option<&str> {
        let is_close = |name: &&String| {
            tried
                .iter()
                .any(|tried| strsim::osa_distance(tried, name) <= MAX_MISTAKES)
        };
        let names = [&self.objects, &self.functions, &self.others];
        let close = || names.into_iter().flatten().find(is_close);
        let only = || match (&*self.objects, &*self.functions) {
            ([only], _) | ([], [only]) => Some(only),
            _ => None,
        };
        close().or_else(only).map(String::as_str)
    }
}

/// Wrong, missing or additional letters in a name that is recognised nevertheless.
const MAX_MISTAKES: usize = 2;

/// Names that a hint lists.
const MAX_NAMED: usize = 8;

/// The names that frameworks use: Django, Pyramid and PEP 3333's examples; Flask.
const USUAL_NAMES: [&str; 2] = ["application", "app"];

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
