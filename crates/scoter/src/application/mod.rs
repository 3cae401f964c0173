//! The application: how it is named, found and loaded, and what is said when it is not.

mod interface;

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pyo3::exceptions::{PyAttributeError, PyModuleNotFoundError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use thiserror::Error;

use crate::config::Options;
use crate::failure::Failure;
use crate::interpreter::traceback;
use interface::{Interface, Misfit, judge};

/// What `APP` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    source: Source,
    /// The attribute to use, perhaps dotted; without it the usual names are tried.
    callable: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A module on `sys.path`.
    Module(String),
    /// A file, whatever its name.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (source, callable) = match text.rsplit_once(':') {
            Some((source, callable)) => (source, Some(callable.to_owned())),
            None => (text, None),
        };
        let source = if source.ends_with(".py") || source.contains('/') {
            Source::File(PathBuf::from(source))
        } else {
            Source::Module(source.to_owned())
        };
        Ok(Self { source, callable })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Module(module) => f.write_str(module)?,
            Source::File(path) => path.display().fmt(f)?,
        }
        match &self.callable {
            Some(callable) => write!(f, ":{callable}"),
            None => Ok(()),
        }
    }
}

/// Why there is no application to serve.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// No directory of `sys.path` has the module.
    #[error("there is no module {name:?}\nsearched: {}\nhint: {hint}", searched.join(", "))]
    NoModule {
        /// The module as named.
        name: String,
        /// `sys.path`.
        searched: Vec<String>,
        /// What may be meant.
        hint: String,
    },
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NoFile {
        /// The file as named.
        path: PathBuf,
    },
    /// The import raised an exception.
    #[error("{target} could not be imported{traceback}")]
    Import {
        /// The module or file.
        target: String,
        /// The exception as Python prints it.
        traceback: String,
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
    /// The attribute can be called, but not as what it is named as.
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

/// Whether the callable is the application or makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It takes `(environ, start_response)`.
    Application,
    /// It takes nothing and returns the application.
    Factory,
}

/// A loaded application and the name it goes by.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The callable.
    pub(crate) application: Py<PyAny>,
    /// `module:callable`.
    pub(crate) name: String,
}

impl Loaded {
    /// Goes to the application's directory, and imports it.
    ///
    /// # Errors
    ///
    /// [`Failure`] says what was looked for, and where.
    pub(crate) fn load(py: Python<'_>, options: &Options) -> Result<Self, Failure> {
        if let Some(path) = &options.chdir {
            std::env::set_current_dir(path).map_err(|error| Failure::Chdir {
                path: path.clone(),
                error,
            })?;
        }
        let here = std::env::current_dir()?;
        let directories = std::iter::once(here.clone())
            .chain(options.pythonpath.iter().rev().map(|path| here.join(path)));
        for directory in directories {
            prepend_to_path(py, &directory)
                .map_err(|error| Failure::Python(traceback(py, &error)))?;
        }
        let kind = if options.factory {
            Kind::Factory
        } else {
            Kind::Application
        };
        Ok(options.app.load(py, kind)?)
    }
}

impl Target {
    /// The same application, with a relative file resolved against `folder`.
    pub(crate) fn relocated(self, folder: &Path) -> Self {
        let source = match self.source {
            Source::File(path) => Source::File(folder.join(path)),
            module @ Source::Module(_) => module,
        };
        Self { source, ..self }
    }

    /// Imports the application.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what was searched and what there is instead.
    fn load<'py>(&self, py: Python<'py>, kind: Kind) -> Result<Loaded, LoadError> {
        let module = match &self.source {
            Source::Module(name) => import_module(py, name)?,
            Source::File(path) => import_file(py, path)?,
        };
        let module_name = module.name().map_or_else(
            |_| self.to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let (attribute, callable) = self.find(&module, &module_name)?;
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
                let made = callable.call0().map_err(|error| LoadError::Factory {
                    name: name.clone(),
                    traceback: traceback(py, &error),
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
            |target| format!("the WSGI application is beside it: write {target}"),
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
                Source::File(path) => Source::File(path.with_file_name("wsgi.py")),
            },
            callable: None,
        })
    }

    fn find<'py>(
        &self,
        module: &Bound<'py, PyModule>,
        module_name: &str,
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
            match found {
                Ok(object) if object.is_callable() => return Ok(((*name).to_owned(), object)),
                Ok(object) => {
                    return Err(LoadError::NotCallable {
                        type_name: type_name(&object),
                        hint: "name the WSGI callable behind a colon: module:callable",
                        name: format!("{module_name}:{name}"),
                    });
                }
                Err(error) if error.is_instance_of::<PyAttributeError>(py) => {}
                Err(error) => {
                    return Err(LoadError::Import {
                        target: format!("{module_name}:{name}"),
                        traceback: traceback(py, &error),
                    });
                }
            }
        }
        Err(LoadError::NoCallable {
            module: module_name.to_owned(),
            tried: tried.iter().map(|name| format!("{name:?}")).collect(),
            hint: what_there_is(module, module_name),
        })
    }
}

/// What frameworks call it: Django, Pyramid and PEP 3333's own examples; Flask.
const USUAL_NAMES: [&str; 2] = ["application", "app"];

fn import_module<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyModule>, LoadError> {
    py.import(name).map_err(|error| {
        if is_missing(py, &error, name) {
            return LoadError::NoModule {
                name: name.to_owned(),
                searched: search_path(py),
                hint: missing_module_hint(name),
            };
        }
        LoadError::Import {
            target: name.to_owned(),
            traceback: traceback(py, &error),
        }
    })
}

/// Whether the named module itself is missing, not one that it imports.
fn is_missing(py: Python<'_>, error: &PyErr, name: &str) -> bool {
    if !error.is_instance_of::<PyModuleNotFoundError>(py) {
        return false;
    }
    let missing = error.value(py).getattr("name");
    let missing = missing.and_then(|missing| missing.extract::<String>());
    missing.is_ok_and(|missing| {
        name == missing
            || name
                .strip_prefix(&*missing)
                .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn missing_module_hint(name: &str) -> String {
    if name.ends_with(".ini") {
        return "configuration files of uWSGI are not read: name the WSGI module".to_owned();
    }
    let file = format!("{}.py", name.replace('.', "/"));
    match name.rsplit_once('.') {
        // `app.main` for `app/main.py` is right; `main.application` should have a colon.
        Some((module, attribute))
            if Path::new(&module.replace('.', "/"))
                .with_extension("py")
                .exists() =>
        {
            format!(
                "{}.py exists: write {module}:{attribute}",
                module.replace('.', "/")
            )
        }
        _ => format!(
            "--chdir or --pythonpath name the directory that holds {file}; \
             --chdir also changes to it"
        ),
    }
}

fn search_path(py: Python<'_>) -> Vec<String> {
    let path = py.import("sys").and_then(|sys| sys.getattr("path"));
    let entries = path.and_then(|path| path.extract::<Vec<String>>());
    entries.unwrap_or_default()
}

/// Imports a file under the name it has, or, where a module of that name is loaded already,
/// under one nobody else uses. Its directory comes first on `sys.path`, as for a script.
fn import_file<'py>(py: Python<'py>, path: &Path) -> Result<Bound<'py, PyModule>, LoadError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !absolute.is_file() {
        return Err(LoadError::NoFile {
            path: path.to_owned(),
        });
    }
    execute_file(py, &absolute).map_err(|error| LoadError::Import {
        target: path.display().to_string(),
        traceback: traceback(py, &error),
    })
}

fn execute_file<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyModule>> {
    let modules = py
        .import("sys")?
        .getattr("modules")?
        .cast_into::<PyDict>()?;
    if let Some(directory) = path.parent() {
        prepend_to_path(py, directory)?;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = if modules.contains(&*stem)? {
        format!("scoter_app_{stem}")
    } else {
        stem.into_owned()
    };
    let util = py.import("importlib.util")?;
    let machinery = py.import("importlib.machinery")?;
    // The loader is given, so that a file without `.py` works as well.
    let loader = machinery.call_method1("SourceFileLoader", (&name, path.as_os_str()))?;
    let spec = util.call_method1("spec_from_loader", (&name, &loader))?;
    let module = util
        .call_method1("module_from_spec", (&spec,))?
        .cast_into::<PyModule>()?;
    modules.set_item(&name, &module)?;
    loader
        .call_method1("exec_module", (&module,))
        .inspect_err(|_| drop(modules.del_item(&name)))?;
    Ok(module)
}

/// Puts a directory in front of `sys.path`.
fn prepend_to_path(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    path.insert(0, directory.as_os_str())
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().to_string()
}

/// Names the callables that the module itself defines.
fn what_there_is(module: &Bound<'_, PyModule>, module_name: &str) -> String {
    let own = |object: &Bound<'_, PyAny>| {
        let defined_in = object.getattr("__module__");
        object.is_callable()
            && defined_in.is_ok_and(|name| name.extract::<&str>().is_ok_and(|n| n == module_name))
    };
    let mut names: Vec<String> = module
        .dict()
        .iter()
        .filter(|(_, object)| own(object))
        .filter_map(|(name, _)| name.extract().ok())
        .filter(|name: &String| !name.starts_with('_'))
        .collect();
    names.truncate(8);
    match names.as_slice() {
        [] => "the module defines nothing that can be called".to_owned(),
        names => format!(
            "it has {}: name one behind a colon, as in {module_name}:{} (with --factory, if it \
             makes the application)",
            names.join(", "),
            names[0]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_files_are_told_apart() {
        for (text, source, callable) in [
            ("site.wsgi", Source::Module("site.wsgi".into()), None),
            ("site:app", Source::Module("site".into()), Some("app")),
            ("app.py", Source::File("app.py".into()), None),
            (
                "/srv/app.py:main",
                Source::File("/srv/app.py".into()),
                Some("main"),
            ),
            ("./wsgi", Source::File("./wsgi".into()), None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.source, source, "{text}");
            assert_eq!(target.callable.as_deref(), callable, "{text}");
            assert_eq!(target.to_string(), text);
        }
    }
}
