//! The applications below paths, and which of them a request is for.

use pyo3::prelude::*;
use uwsgi_codec::modifier;
use wsgi_environ::{MountPoints, Mounted, RequestPath, ScriptName};

use crate::python::application::MountedApplication;
use crate::request_head::{Param, RequestHead};

/// The applications below paths.
#[derive(Debug)]
pub(crate) struct Mounts {
    points: MountPoints,
    applications: Vec<Py<PyAny>>,
}

impl Mounts {
    /// `None` if nothing is mounted.
    pub(crate) fn new(py: Python<'_>, mounted: &[MountedApplication]) -> Option<Self> {
        if mounted.is_empty() {
            return None;
        }
        let points = MountPoints::new(mounted.iter().map(|it| &it.path));
        let applications = mounted.iter().map(|it| it.application.clone_ref(py));
        Some(Self {
            points: points.expect("prefixes begin with a slash and do not end with one"),
            applications: applications.collect(),
        })
    }

    /// The application of a request, and where it is for that; `None` if it is below none of the paths.
    pub(crate) fn find<'a>(
        &'a self,
        path: &RequestPath<'a>,
    ) -> Option<(&'a Py<PyAny>, Mounted<'a>)> {
        let mounted = self.points.find(path)?;
        Some((self.applications.get(mounted.index)?, mounted))
    }
}

/// Where a request is.
pub(crate) fn path_of(head: &RequestHead) -> RequestPath<'_> {
    RequestPath {
        script_name: head.vars().get("SCRIPT_NAME").unwrap_or_default(),
        path_info: head.param(Param::Path).unwrap_or_default(),
        request_uri: head.param(Param::Uri).unwrap_or_default(),
        handling: handling(head),
    }
}

/// What the front end asks to do with `SCRIPT_NAME`.
pub(crate) fn handling(head: &RequestHead) -> ScriptName<'static> {
    match head.packet.header.modifier1 {
        modifier::WSGI_SCRIPT_NAME => ScriptName::Strip,
        _ => ScriptName::AsSent,
    }
}

/// What a mount point makes of the path.
pub(crate) fn given<'a>(mounted: &'a Mounted<'_>) -> ScriptName<'a> {
    ScriptName::Given {
        script_name: &mounted.script_name,
        path_info: &mounted.path_info,
    }
}
