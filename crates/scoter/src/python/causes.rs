//! The exceptions that led to an exception.

use pyo3::prelude::*;

/// An exception, its cause, the cause of that, and so on, as Python prints them from the last to
/// the first.
pub(crate) fn causes(py: Python<'_>, error: &PyErr) -> impl Iterator<Item = PyErr> {
    let first = Some(error.clone_ref(py));
    std::iter::successors(first, move |error| {
        let context = || error.value(py).getattr("__context__").ok();
        let context = || context().filter(|it| !it.is_none()).map(PyErr::from_value);
        error.cause(py).or_else(context)
    })
    .take(MAX_CAUSES)
}

/// How many causes of an exception are examined: they may form a circle.
const MAX_CAUSES: usize = 10;
