use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::path::{PathHandling, paths};
use super::role::Role;
use super::scheme::SchemeVars;
use crate::text::from_latin1;

/// The variables that other entries are computed from.
#[derive(Debug, Default)]
pub(super) struct DerivedEntries<'a> {
    script_name: &'a [u8],
    path_info: &'a [u8],
    scheme: SchemeVars<'a>,
}

impl<'a> DerivedEntries<'a> {
    /// Records a variable, if it is one of them.
    pub(super) fn note(&mut self, role: Role, key: &[u8], value: &'a [u8]) {
        match role {
            Role::ScriptName => self.script_name = value,
            Role::PathInfo => self.path_info = value,
            Role::Scheme => self.scheme.note(key, value),
            _ => {}
        }
    }

    /// Sets `SCRIPT_NAME` and `PATH_INFO`.
    pub(super) fn set_paths(
        &self,
        environ: &Bound<'_, PyDict>,
        handling: PathHandling,
    ) -> PyResult<()> {
        let (script_name, path_info) = paths(self.script_name, self.path_info, handling);
        set_paths(environ, script_name, path_info)
    }

    /// Sets `wsgi.url_scheme`.
    pub(super) fn set_scheme(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = environ.py();
        let scheme = PyString::intern(py, self.scheme.scheme().as_str());
        environ.set_item(intern!(py, "wsgi.url_scheme"), scheme)
    }
}

/// Sets `SCRIPT_NAME` and `PATH_INFO` to these values.
pub(super) fn set_paths(
    environ: &Bound<'_, PyDict>,
    script_name: &[u8],
    path_info: &[u8],
) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "SCRIPT_NAME"), from_latin1(py, script_name)?)?;
    environ.set_item(intern!(py, "PATH_INFO"), from_latin1(py, path_info)?)
}
