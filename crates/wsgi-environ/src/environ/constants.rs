use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::ServerInfo;
use super::role::{Required, Role};
use crate::text::from_latin1;
use crate::{Errors, FileWrapper};

/// The entries that are the same in every environ of a slot.
#[derive(Debug)]
pub(super) struct Constants {
    /// The server's own entries. A packet cannot contain them.
    base: Py<PyDict>,
    server_name: Py<PyString>,
    server_port: Py<PyString>,
}

impl Constants {
    pub(super) fn new(py: Python<'_>, server: &ServerInfo, errors: Py<Errors>) -> PyResult<Self> {
        let base = PyDict::new(py);
        base.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        base.set_item(intern!(py, "wsgi.url_scheme"), intern!(py, "http"))?;
        // Placeholders for the entries of each request.
        base.set_item(intern!(py, "wsgi.input"), py.None())?;
        base.set_item(request_id_name(py), py.None())?;
        // Many frameworks require this before they read a body without a Content-Length: it says
        // that reading stops at the end of the body.
        base.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        base.set_item(intern!(py, "wsgi.errors"), errors)?;
        base.set_item(intern!(py, "wsgi.multithread"), server.multithread)?;
        base.set_item(intern!(py, "wsgi.multiprocess"), server.multiprocess)?;
        base.set_item(intern!(py, "wsgi.run_once"), false)?;
        base.set_item(
            intern!(py, "wsgi.file_wrapper"),
            py.get_type::<FileWrapper>(),
        )?;
        Ok(Self {
            base: base.unbind(),
            server_name: PyString::new(py, &server.server_name).unbind(),
            server_port: PyString::new(py, &server.server_port.to_string()).unbind(),
        })
    }

    pub(super) fn base<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.base.bind(py).copy()
    }

    /// Sets the entry of a variable.
    pub(super) fn set_var(
        &self,
        environ: &Bound<'_, PyDict>,
        role: Role,
        name: &Bound<'_, PyString>,
        value: &[u8],
    ) -> PyResult<()> {
        let py = environ.py();
        let value = self.value(py, role, value)?;
        environ.set_item(name, &value)?;
        match role {
            Role::RequestId => environ.set_item(request_id_name(py), value),
            _ => Ok(()),
        }
    }

    /// Makes the string of a variable.
    fn value<'py>(
        &self,
        py: Python<'py>,
        role: Role,
        value: &[u8],
    ) -> PyResult<Bound<'py, PyString>> {
        match role {
            Role::Required(required) if value.is_empty() => Ok(self.default(py, required)),
            _ => from_latin1(py, value),
        }
    }

    /// Adds the entries that every environ has, even if the front end does not send them.
    pub(super) fn set_defaults(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = environ.py();
        environ.set_default(intern!(py, "QUERY_STRING"), intern!(py, ""))?;
        for (name, required) in [
            (intern!(py, "REQUEST_METHOD"), Required::RequestMethod),
            (intern!(py, "SERVER_NAME"), Required::ServerName),
            (intern!(py, "SERVER_PORT"), Required::ServerPort),
            (intern!(py, "SERVER_PROTOCOL"), Required::ServerProtocol),
        ] {
            environ.set_default(name, self.default(py, required))?;
        }
        Ok(())
    }

    fn default<'py>(&self, py: Python<'py>, required: Required) -> Bound<'py, PyString> {
        match required {
            Required::RequestMethod => intern!(py, "GET").clone(),
            Required::ServerName => self.server_name.bind(py).clone(),
            Required::ServerPort => self.server_port.bind(py).clone(),
            // The protocol of the response. With HTTP/1.0, uWSGI's choice, applications assume that
            // the client supports neither streaming nor ranges.
            Required::ServerProtocol => intern!(py, "HTTP/1.1").clone(),
        }
    }
}

/// Returns the name of the entry with the request's id.
pub(super) fn request_id_name(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "scoter.request_id")
}
