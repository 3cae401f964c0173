//! An application that a file of PasteDeploy describes, as Pyramid's do.

use std::fs;
use std::path::Path;

use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::source::import_failed;
use super::{LoadError, environments, type_name};
use crate::config::{Deployment, UWSGI_CONFIGURATION};
use crate::python::child_exit;

impl Deployment {
    /// Loads the application with what is installed beside it, as `pserve` does: the file's logging is set
    /// up first. Also returns its name.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what is missing, or what was raised.
    pub(super) fn load(&self, py: Python<'_>) -> Result<(Py<PyAny>, String), LoadError> {
        let text = fs::read(&self.file).map_err(|_| LoadError::NoFile {
            path: self.file.clone(),
        })?;
        let sections = Sections::of(&String::from_utf8_lossy(&text));
        if sections.applications.is_empty() {
            return Err(self.no_section(&sections));
        }
        let failed = |error: PyErr| match sections.have(self.section()) {
            true => import_failed(py, self.to_string(), "", &error),
            false => self.no_section(&sections),
        };
        let loader = Loader::find(py, self).map_err(failed)?;
        let Some(loader) = loader else {
            return Err(LoadError::NoPasteDeploy {
                file: self.file.display().to_string(),
                advice: environments::advice(py, "plaster_pastedeploy").unwrap_or_default(),
            });
        };
        let application = loader
            .set_up_logging(&sections)
            .and_then(|()| loader.load_application());
        let application = child_exit::checked(py, application).map_err(failed)?;
        if !application.is_callable() {
            return Err(LoadError::NotCallable {
                name: self.to_string(),
                type_name: type_name(&application),
                hint: "the factory that the section names must return the WSGI application",
            });
        }
        Ok((application.unbind(), self.to_string()))
    }

    /// The name of the application, which is never empty.
    fn section(&self) -> &str {
        self.name.as_deref().unwrap_or(MAIN)
    }

    fn no_section(&self, sections: &Sections) -> LoadError {
        let hint = match &*sections.applications {
            [] if sections.are_of_uwsgi => UWSGI_CONFIGURATION.to_owned(),
            [] => "PasteDeploy's applications are sections such as [app:main], [composite:main] \
                   and [pipeline:main]"
                .to_owned(),
            names => {
                let example = Self {
                    name: names.first().cloned(),
                    ..self.clone()
                };
                format!(
                    "it has {}: name one after #, as in {example}",
                    names.join(", ")
                )
            }
        };
        LoadError::NoSection {
            file: self.file.display().to_string(),
            name: self.section().to_owned(),
            hint,
        }
    }
}

/// What loads an application from the file.
enum Loader<'py> {
    /// A loader of `plaster`, which Pyramid requires.
    Plaster(Bound<'py, PyAny>),
    /// `paste.deploy` alone.
    PasteDeploy {
        module: Bound<'py, PyModule>,
        path: &'py Path,
        name: Option<&'py str>,
    },
}

impl<'py> Loader<'py> {
    /// What is installed; `None` if nothing is.
    fn find(py: Python<'py>, deployment: &'py Deployment) -> PyResult<Option<Self>> {
        let path = &*deployment.file;
        if let Some(plaster) = installed(py, "plaster")? {
            let arguments = PyDict::new(py);
            arguments.set_item("path", path.as_os_str())?;
            arguments.set_item("fragment", &deployment.name)?;
            let url = plaster
                .getattr("PlasterURL")?
                .call(("file+ini",), Some(&arguments))?;
            match plaster.call_method1("get_loader", (url, ["wsgi"])) {
                Ok(loader) => return Ok(Some(Self::Plaster(loader))),
                // Without plaster_pastedeploy it knows no such files.
                Err(error)
                    if error
                        .value(py)
                        .is_instance(&plaster.getattr("LoaderNotFound")?)? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(
            installed(py, "paste.deploy")?.map(|module| Self::PasteDeploy {
                module,
                path,
                name: deployment.name.as_deref(),
            }),
        )
    }

    /// Configures `logging` if the file says how.
    fn set_up_logging(&self, sections: &Sections) -> PyResult<()> {
        match self {
            Self::Plaster(loader) => loader.call_method0("setup_logging").map(drop),
            Self::PasteDeploy { module, path, .. } => {
                let py = module.py();
                if !sections.have_loggers {
                    return py.import("logging")?.call_method0("basicConfig").map(drop);
                }
                let arguments = PyDict::new(py);
                arguments.set_item("disable_existing_loggers", false)?;
                let defaults = global_configuration(py, path)?;
                py.import("logging.config")?
                    .getattr("fileConfig")?
                    .call((path.as_os_str(), defaults), Some(&arguments))
                    .map(drop)
            }
        }
    }

    fn load_application(&self) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Plaster(loader) => loader.call_method0("get_wsgi_app"),
            Self::PasteDeploy { module, path, name } => {
                let py = module.py();
                let arguments = PyDict::new(py);
                arguments.set_item("name", name)?;
                arguments.set_item("global_conf", global_configuration(py, path)?)?;
                let uri = format!("config:{}", path.display());
                module.getattr("loadapp")?.call((uri,), Some(&arguments))
            }
        }
    }
}

/// A module, unless the package that it belongs to is not installed.
fn installed<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyModule>>> {
    match py.import(name) {
        Ok(module) => Ok(Some(module)),
        Err(error) if error.is_instance_of::<PyModuleNotFoundError>(py) => {
            let missing = error.value(py).getattr("name")?;
            let missing: String = missing.extract().unwrap_or_default();
            let is_the_package = name == missing || name.starts_with(&format!("{missing}."));
            match is_the_package {
                true => Ok(None),
                false => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// What every file can refer to: PasteDeploy, "Global configuration".
fn global_configuration<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyDict>> {
    let defaults = PyDict::new(py);
    defaults.set_item("__file__", path.as_os_str())?;
    let here = path.parent().unwrap_or(path);
    defaults.set_item("here", here.as_os_str())?;
    Ok(defaults)
}

/// What a file has sections for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sections {
    /// The names of its applications.
    applications: Vec<String>,
    have_loggers: bool,
    are_of_uwsgi: bool,
}

impl Sections {
    fn have(&self, application: &str) -> bool {
        self.applications.iter().any(|name| name == application)
    }

    fn of(text: &str) -> Self {
        let mut sections = Self::default();
        for line in text.lines() {
            let header = line.strip_prefix('[').and_then(|it| it.split(']').next());
            match header {
                Some("loggers") => sections.have_loggers = true,
                Some("uwsgi") => sections.are_of_uwsgi = true,
                Some(header) => {
                    let (prefix, name) = header.split_once(':').unwrap_or((header, MAIN));
                    if PREFIXES.contains(&prefix.trim()) {
                        sections.applications.push(name.trim().to_owned());
                    }
                }
                None => {}
            }
        }
        sections
    }
}

/// What sections of applications begin with: `paste.deploy.loadwsgi`, `_App.config_prefixes`.
const PREFIXES: [&str; 6] = [
    "app",
    "application",
    "composite",
    "composit",
    "pipeline",
    "filter-app",
];

/// The application where none is named.
const MAIN: &str = "main";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_known_by_their_sections() {
        let text = "[DEFAULT]\r\n[app:main]\r\nuse = egg:shop\r\n[composite:all] ; both\n\
                    [pipeline: p ]\n[filter:f]\n[server:main]\n [app:indented]\n[loggers]\n#[app:off]\n";
        assert_eq!(
            Sections::of(text),
            Sections {
                applications: ["main", "all", "p"].map(str::to_owned).into(),
                have_loggers: true,
                are_of_uwsgi: false,
            }
        );
        assert!(Sections::of("[uwsgi]\n").are_of_uwsgi);
        assert_eq!(Sections::of("[app]\n").applications, ["main"]);
        assert_eq!(Sections::of("threads = 4"), Sections::default());
    }
}
