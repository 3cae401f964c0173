//! The source of an application: a module or a file. Decides which of them a name means, and
//! the module name of a file.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyImportError, PyModuleNotFoundError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{LoadError, environments, prepend_to_path, uwsgi_advice};
use crate::config::{Source, UWSGI_CONFIGURATION};
use crate::python::causes::causes;
use crate::python::child_exit;
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;

impl Source {
    /// Imports it.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what was searched, and what was raised.
    pub(super) fn import<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyModule>, LoadError> {
        match self {
            Self::Module(name) => import_module(py, name),
            Self::File(path) => import_file(py, path),
        }
    }
}

fn import_module<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyModule>, LoadError> {
    let error = match child_exit::checked(py, py.import(name)) {
        Ok(module) => return Ok(module),
        Err(error) => error,
    };
    if !is_missing(py, &error, name) {
        return Err(import_failed(py, name.to_owned(), name, &error));
    }
    let file = Path::new(name);
    if file.is_file() && !is_configuration(file) {
        return import_file(py, file);
    }
    Err(LoadError::NoModule {
        name: name.to_owned(),
        here: std::env::current_dir().unwrap_or_default(),
        searched: search_path(py),
        hint: missing_module_hint(name),
    })
}

/// Whether the named module itself is missing, not one that it imports.
fn is_missing(py: Python<'_>, error: &PyErr, name: &str) -> bool {
    let missing = name_in(py, error);
    error.is_instance_of::<PyModuleNotFoundError>(py)
        && missing.is_some_and(|missing| is_or_is_in(name, &missing))
}

/// The module that an ImportError is about.
fn name_in(py: Python<'_>, error: &PyErr) -> Option<String> {
    error.value(py).getattr("name").ok()?.extract().ok()
}

/// Whether `module` is `package` or a part of it.
fn is_or_is_in(module: &str, package: &str) -> bool {
    let rest = module.strip_prefix(package);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a file contains settings, of uWSGI for instance, rather than code.
fn is_configuration(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| NO_CODE.contains(&extension))
}

fn missing_module_hint(name: &str) -> String {
    if is_configuration(Path::new(name)) {
        return UWSGI_CONFIGURATION.to_owned();
    }
    // `run.py:app` with a callable appended: uWSGI's `wsgi-file` takes none.
    let name = &name.replacen(".py:", ".", 1);
    let file = format!("{}.py", name.replace('.', "/"));
    match name.rsplit_once('.') {
        // `app.main` for `app/main.py` is right; `main.application` should have a colon.
        Some((module, attribute))
            if Path::new(&module.replace('.', "/"))
                .with_extension("py")
                .exists() =>
        {
            format!(
                "{}.py exists: use {module}:{attribute}",
                module.replace('.', "/")
            )
        }
        _ => format!(
            "set --chdir or --pythonpath to the directory that contains {file}; --chdir also \
             changes to it"
        ),
    }
}

fn search_path(py: Python<'_>) -> Vec<String> {
    let path = py.import("sys").and_then(|sys| sys.getattr("path"));
    let entries = path.and_then(|path| path.extract::<Vec<String>>());
    entries.unwrap_or_default()
}

/// Imports a file. Its directory comes first on `sys.path`, as for a script.
fn import_file<'py>(py: Python<'py>, path: &Path) -> Result<Bound<'py, PyModule>, LoadError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !absolute.is_file() {
        return Err(LoadError::NoFile {
            path: path.to_owned(),
        });
    }
    execute_file(py, &absolute).map_err(|error| {
        let stem = absolute.file_stem().unwrap_or_default().to_string_lossy();
        import_failed(py, path.display().to_string(), &stem, &error)
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
    let name = match free_name(&modules, path)? {
        Name::Free(name) => name,
        Name::Taken(module) => return Ok(module),
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
    let execute = || match FileName::of(path) {
        FileName::Module(_) => loader.call_method1("exec_module", (&module,)),
        // The cache of bytecode of `shop.wsgi` would be that of `shop.py`.
        FileName::Other(_) => {
            let source = loader.call_method1("get_data", (path.as_os_str(),))?;
            let code = loader.call_method1("source_to_code", (source, path.as_os_str()))?;
            py.import("builtins")?
                .call_method1("exec", (code, module.dict()))
        }
    };
    child_exit::checked(py, execute()).inspect_err(|_| drop(modules.del_item(&name)))?;
    Ok(module)
}

/// The name of a module that a file is to be.
enum Name<'py> {
    /// No module has it.
    Free(String),
    /// The file has already been imported: two applications may be in one file.
    Taken(Bound<'py, PyModule>),
}

fn free_name<'py>(modules: &Bound<'py, PyDict>, path: &Path) -> PyResult<Name<'py>> {
    let (first, stem) = match FileName::of(path) {
        FileName::Module(name) => (name.clone(), name),
        FileName::Other(name) => (format!("{PREFIX}{name}"), name),
    };
    let others = (1..).map(|number| match number {
        1 => format!("{PREFIX}{stem}"),
        number => format!("{PREFIX}{stem}_{number}"),
    });
    for name in std::iter::once(first).chain(others) {
        let Some(module) = modules.get_item(&name)? else {
            return Ok(Name::Free(name));
        };
        let Ok(module) = module.cast_into::<PyModule>() else {
            continue;
        };
        let file = module
            .getattr("__file__")
            .and_then(|it| it.extract::<PathBuf>());
        if file.is_ok_and(|file| file == path) {
            return Ok(Name::Taken(module));
        }
    }
    unreachable!("one of endless names is free")
}

/// What the name of a file means to Python.
#[derive(Debug, PartialEq, Eq)]
enum FileName {
    /// The module that `import` would find it as, if its directory comes first.
    Module(String),
    /// No module. Its name must not hide one, because `shop.wsgi` may import `shop`. This name has
    /// no dots, which would make it part of a package.
    Other(String),
}

impl FileName {
    fn of(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_python = path.extension().is_some_and(|extension| extension == "py");
        if is_python && !stem.contains('.') {
            return Self::Module(stem.into_owned());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::Other(name.replace('.', "_"))
    }
}

/// The error for an exception during an import. Other modules can import the module as `name`, which is
/// empty if they cannot.
pub(super) fn import_failed(
    py: Python<'_>,
    target: String,
    name: &str,
    error: &PyErr,
) -> LoadError {
    let advice = if !name.is_empty() && hides(py, name, error) {
        format!(
            "\nhint: it has the same name as the module {name} that it imports, and is found in \
             its place: rename it"
        )
    } else {
        let missing = missing_module(py, error);
        let advice = missing.and_then(|module| {
            uwsgi_advice::advice(&module).or_else(|| environments::advice(py, &module).ok())
        });
        advice.unwrap_or_else(|| limit_hint(py, error))
    };
    LoadError::Import {
        target,
        traceback: traceback(py, error),
        advice,
    }
}

/// The missing module that caused an exception, if one did.
fn missing_module(py: Python<'_>, error: &PyErr) -> Option<String> {
    let is_missing = |cause: &PyErr| cause.is_instance_of::<PyModuleNotFoundError>(py);
    let missing = causes(py, error).find(is_missing)?;
    name_in(py, &missing)
}

/// Whether an exception was caused by a module that hides another one with the same name, usually
/// itself.
fn hides(py: Python<'_>, name: &str, error: &PyErr) -> bool {
    if error.is_instance_of::<PyImportError>(py) {
        return name_in(py, error).is_some_and(|missing| is_or_is_in(&missing, name));
    }
    // AttributeError names the object since Python 3.10.
    let object = error.value(py).getattr("obj");
    let module = object.and_then(|object| Ok(object.cast_into::<PyModule>()?));
    let module_name = module.and_then(|module| module.name()?.extract::<String>());
    module_name.is_ok_and(|module| module == name)
}

/// The prefix for modules whose own name is or may be taken.
const PREFIX: &str = "scoter_app_";

/// Extensions of files that are not Python code.
const NO_CODE: [&str; 8] = ["ini", "xml", "yaml", "yml", "json", "toml", "cfg", "conf"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_not_a_module_gets_a_name_of_its_own() {
        let module = |name: &str| FileName::Module(name.to_owned());
        let other = |name: &str| FileName::Other(name.to_owned());
        for (path, expected) in [
            ("/srv/app.py", module("app")),
            ("/srv/my-app.py", module("my-app")),
            ("/srv/shop.wsgi", other("shop_wsgi")),
            ("/srv/shop.wsgi.py", other("shop_wsgi_py")),
            ("/srv/shop.views", other("shop_views")),
            ("/srv/shop", other("shop")),
            ("/srv/.wsgi", other("_wsgi")),
        ] {
            assert_eq!(FileName::of(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn parts_of_a_package_differ_from_names_with_the_same_prefix() {
        for (module, package, expected) in [
            ("shop", "shop", true),
            ("shop.wsgi", "shop", true),
            ("shopping", "shop", false),
            ("shop", "shop.wsgi", false),
        ] {
            assert_eq!(is_or_is_in(module, package), expected, "{module}");
        }
    }
}
