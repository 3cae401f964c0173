//! Static files of Django, which its own development server serves, too.

use pyo3::prelude::*;

/// An application of Django whose static files are served, if its settings say so: `DEBUG` is on,
/// and `django.contrib.staticfiles` is one of the applications. That is what `manage.py runserver`
/// does. `None` for everything else.
///
/// # Errors
///
/// What Django raises.
pub(crate) fn with_static_files<'py>(
    application: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = application.py();
    let loaded = py.import("sys")?.getattr("modules")?;
    // Nothing is imported for applications that have not done so.
    if !loaded.contains(HANDLER)? {
        return Ok(None);
    }
    let handler = py.import(HANDLER)?.getattr("WSGIHandler")?;
    if !application.get_type().is(&handler) {
        return Ok(None);
    }
    let settings = py.import("django.conf")?.getattr("settings")?;
    let registry = py.import("django.apps")?.getattr("apps")?;
    let is_debugging: bool = settings.getattr("DEBUG")?.is_truthy()?;
    if !is_debugging
        || !registry
            .call_method1("is_installed", (STATIC_FILES,))?
            .is_truthy()?
    {
        return Ok(None);
    }
    let handlers = py.import("django.contrib.staticfiles.handlers")?;
    handlers
        .getattr("StaticFilesHandler")?
        .call1((application,))
        .map(Some)
}

const HANDLER: &str = "django.core.handlers.wsgi";
const STATIC_FILES: &str = "django.contrib.staticfiles";
