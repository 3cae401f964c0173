use std::borrow::Cow;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Converts bytes from the packet to a native string: one character per byte.
///
/// PEP 3333, "Unicode Issues": native strings contain only code points that are
/// representable in ISO-8859-1, and stand for these bytes.
///
/// # Errors
///
/// `MemoryError`.
#[expect(unsafe_code, reason = "pyo3 decodes nothing but UTF-8")]
pub(crate) fn from_latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let (start, len) = (bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t);
    // SAFETY: `py` proves that this thread is attached. A slice is never longer
    // than isize::MAX, its bytes are only read during the call, and there is no
    // error handler to be named.
    let string = unsafe { ffi::PyUnicode_DecodeLatin1(start, len, ptr::null()) };
    // SAFETY: the call returns a new reference to a str, or null with an exception
    // set.
    unsafe { Bound::from_owned_ptr_or_err(py, string).map(|any| any.cast_into_unchecked()) }
}

/// Returns the bytes that a native string stands for; `None` if it has
/// characters beyond U+00FF.
pub(crate) fn to_latin1<'a>(text: &'a Bound<'_, PyString>) -> Option<Cow<'a, [u8]>> {
    // Fails for lone surrogates only, which are not latin-1 either.
    match text.to_cow().ok()? {
        Cow::Borrowed(text) if text.is_ascii() => Some(Cow::Borrowed(text.as_bytes())),
        text => text
            .chars()
            .map(|char| u8::try_from(char).ok())
            .collect::<Option<Vec<u8>>>()
            .map(Cow::Owned),
    }
}

/// Names the type of an object for a message.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    match object.get_type().name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        // A metaclass may do anything.
        Err(_) => "an unnamed type".to_owned(),
    }
}

/// Quotes the beginning of a string for a message.
pub(crate) fn quoted(text: &Bound<'_, PyString>) -> String {
    let text = text.to_string_lossy();
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => format!("'{}'", text.escape_debug()),
        Some((end, _)) => format!("'{}...'", text[..end].escape_debug()),
    }
}

const MAX_QUOTED_CHARS: usize = 80;
