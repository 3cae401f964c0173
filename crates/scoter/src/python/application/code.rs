//! An application that is a callable of a module or a file.

use std::path::PathBuf;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;

use super::interface::{Interface, Misfit, judge};
use super::{Kind, LoadError, explained, type_name};
use crate::config::{Code, Source};
use crate::python::child_exit;
use crate::python::limit_hint::limit_hint;
use crate::python::traceback::traceback;

impl Code {
    /// Imports the application. Also returns its name, `module:callable`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what was searched and what was found instead.
    pub(super) fn load(
        &self,
        py: Python<'_>,
        kind: Kind,
    ) -> Result<(Py<PyAny>, String), LoadError> {
        let kind = match self.is_called {
            true => Kind::Factory,
            false => kind,
        };
        let module = self.source.import(py)?;
        let module_name = module.name().map_or_else(
            |_| self.to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let (attribute, callable) = self.find(&module, &module_name, kind)?;
        let name = format!("{module_name}:{attribute}");
        let fit = |name: &str, object: &Bound<'_, PyAny>, kind| {
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
        Ok((application.unbind(), name))
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
            is_called: false,
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
            callable: Some(name.to_owned()),
            ..self.clone()
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
