use pyo3::ffi;
use pyo3::prelude::*;

use crate::response::Response;
use crate::{Body, Input, StartResponse};

/// Keeps the Python objects of the last request for the next one to reuse: creating
/// and freeing them is a good part of the cost of a small request.
///
/// An object is kept only if nothing else refers to it when its request ends, so
/// that no request sees an object that the application kept from another one. Use
/// one cache per thread that serves requests. Default: empty.
#[derive(Debug, Default)]
pub struct ObjectCache {
    input: Option<Py<Input>>,
    start_response: Option<Py<StartResponse>>,
}

impl ObjectCache {
    /// Returns the `wsgi.input` of the next request.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub fn input<'py>(&mut self, py: Python<'py>, body: Body) -> PyResult<Bound<'py, Input>> {
        match self.input.take() {
            Some(input) => {
                input.get().reset(body);
                Ok(input.into_bound(py))
            }
            None => Input::new(py, body),
        }
    }

    pub(crate) fn start_response<'py>(
        &mut self,
        py: Python<'py>,
        response: Response,
    ) -> PyResult<Bound<'py, StartResponse>> {
        match self.start_response.take() {
            Some(start_response) => {
                start_response.get().reset(response);
                Ok(start_response.into_bound(py))
            }
            None => StartResponse::new(py, response),
        }
    }

    /// Keeps the objects to which the application has no reference. They have been
    /// detached from the request.
    pub(crate) fn keep(
        &mut self,
        input: Bound<'_, Input>,
        start_response: Bound<'_, StartResponse>,
    ) {
        let py = input.py();
        if is_unshared(&input) {
            self.input = Some(input.unbind());
        }
        if is_unshared(&start_response) && is_unshared(start_response.get().write(py)) {
            self.start_response = Some(start_response.unbind());
        }
    }
}

/// Whether nothing else has a reference to an object, or can obtain one.
#[expect(unsafe_code, reason = "pyo3 leaves counting references to ffi")]
fn is_unshared<T>(object: &Bound<'_, T>) -> bool {
    // Without the GIL the count may not include references of other threads. SAFETY: this is a
    // reference to the object, and its thread is attached.
    !cfg!(Py_GIL_DISABLED) && unsafe { ffi::Py_REFCNT(object.as_ptr()) } == 1
}
