//! What the application prints and logs, as JSON lines: `--log-application`.
//!
//! `sys.stderr`, and `sys.stdout` if asked for, become text streams that end in the server's log.
//! Records that a handler of `logging` would write there are taken as they are, with logger, level
//! and traceback.

mod stream;

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use wsgi_environ::Errors;

use crate::config::{LogApplication, Options};
use crate::log::{LogFormat, LogRecord, StandardStream, application_record};

use stream::OutputStream;

/// Takes over the standard streams, if that is asked for. Call it before the application is loaded.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn take(py: Python<'_>, options: &Options) -> PyResult<()> {
    let Some(extent) = options.log_application else {
        return Ok(());
    };
    if options.log_format != LogFormat::Json {
        return Ok(());
    }
    replace(py, StandardStream::Error)?;
    if extent == LogApplication::All {
        replace(py, StandardStream::Output)?;
    }
    take_log_records(py)
}

fn replace(py: Python<'_>, stream: StandardStream) -> PyResult<()> {
    let sys = py.import("sys")?;
    let name = match stream {
        StandardStream::Output => "stdout",
        StandardStream::Error => "stderr",
    };
    // Python has None where the process was started without one.
    let old = sys.getattr(name)?;
    if !old.is_none() {
        old.call_method0("flush")?;
    }
    let arguments = PyDict::new(py);
    arguments.set_item("encoding", "utf-8")?;
    arguments.set_item("errors", "backslashreplace")?;
    arguments.set_item("newline", "\n")?;
    // Nothing may wait in Python: the process may end at any time.
    arguments.set_item("write_through", true)?;
    let buffer = Bound::new(py, OutputStream::of(stream))?;
    let text = py
        .import("io")?
        .call_method("TextIOWrapper", (buffer,), Some(&arguments))?;
    text.setattr("mode", "w")?;
    sys.setattr(name, text)
}

/// Has `logging.StreamHandler` hand over the records that it would write to our streams.
fn take_log_records(py: Python<'_>) -> PyResult<()> {
    let take = PyCFunction::new_closure(py, None, None, |arguments, _| take_record(arguments))?;
    let module = PyModule::from_code(
        py,
        LOG_RECORDS,
        c"<scoter>/log_records.py",
        c"scoter.log_records",
    )?;
    // It is nobody's to import.
    py.import("sys")?
        .getattr("modules")?
        .call_method1("pop", ("scoter.log_records", py.None()))?;
    let streams = (py.get_type::<OutputStream>(), py.get_type::<Errors>());
    module.call_method1("install", (streams.0, streams.1, take))?;
    Ok(())
}

/// `(stream, logger, level, message, exception)`; the stream is ours or `wsgi.errors`.
fn take_record(arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    let py = arguments.py();
    let stream = arguments.get_item(0)?;
    let stream = stream
        .cast::<OutputStream>()
        .map_or(StandardStream::Error, |stream| stream.get().stream());
    let logger = text(&arguments.get_item(1)?)?;
    // Its level may be any number.
    let level = arguments.get_item(2)?.extract().unwrap_or(i64::MAX);
    let message = text(&arguments.get_item(3)?)?;
    let exception = text(&arguments.get_item(4)?)?;
    py.detach(|| {
        application_record(&LogRecord {
            stream,
            logger: &logger,
            level,
            message: &message,
            exception: &exception,
        });
    });
    Ok(())
}

/// The text of a string, which may have lone surrogates.
fn text(string: &Bound<'_, PyAny>) -> PyResult<String> {
    let encoded = string.call_method1("encode", ("utf-8", "backslashreplace"))?;
    let bytes: Vec<u8> = encoded.extract()?;
    Ok(match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

const LOG_RECORDS: &std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
    concat!(include_str!("log_records.py"), "\0").as_bytes(),
) {
    Ok(code) => code,
    Err(_) => panic!("the file has no NUL"),
};
