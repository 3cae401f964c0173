//! An exception with the source lines around each place that it passed.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::traceback::traceback;

/// An exception, for somebody who reads the application's source.
#[derive(Debug, Default)]
pub(crate) struct ExceptionReport {
    /// The exception's type and text, as in the last line of a traceback.
    pub(crate) summary: String,
    /// The places that it passed, the last call first.
    pub(crate) frames: Vec<Frame>,
    /// What Python prints, causes included.
    pub(crate) traceback: String,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) function: String,
    /// Lines around it, each with its number.
    pub(crate) source: Vec<(usize, String)>,
}

impl ExceptionReport {
    /// Examines an exception.
    pub(crate) fn of(py: Python<'_>, error: &PyErr) -> Self {
        Self {
            summary: summary(py, error).unwrap_or_else(|_| error.to_string()),
            // A traceback is enough to work with.
            frames: frames(py, error).unwrap_or_default(),
            traceback: traceback(py, error).trim_start().to_owned(),
        }
    }
}

fn summary(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py.import("traceback")?.call_method1(
        "format_exception_only",
        (error.get_type(py), error.value(py)),
    )?;
    let last = lines.try_iter()?.last().transpose()?;
    Ok(last.map_or_else(String::new, |line| text(&line).trim().to_owned()))
}

fn frames(py: Python<'_>, error: &PyErr) -> PyResult<Vec<Frame>> {
    let extracted = py
        .import("traceback")?
        .call_method1("extract_tb", (error.traceback(py),))?;
    let linecache = py.import("linecache")?;
    let mut frames = Vec::new();
    for summary in extracted.try_iter()? {
        let summary = summary?;
        let line = summary
            .getattr("lineno")?
            .extract::<Option<usize>>()?
            .unwrap_or_default();
        let file = summary.getattr("filename")?;
        let lines = linecache
            .call_method1("getlines", (&file,))?
            .cast_into::<PyList>()?;
        let first = line.saturating_sub(AROUND).max(1);
        let source = (first..=line + AROUND).map_while(|number| {
            let line = lines.get_item(number - 1).ok()?;
            Some((number, text(&line).trim_end().to_owned()))
        });
        frames.push(Frame {
            source: source.collect(),
            file: text(&file),
            line,
            function: text(&summary.getattr("name")?),
        });
    }
    frames.reverse();
    frames.truncate(MAX_FRAMES);
    Ok(frames)
}

fn text(object: &Bound<'_, PyAny>) -> String {
    match object.cast::<PyString>() {
        // There may be lone surrogates, for instance from a file name.
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::new(),
    }
}

impl Frame {
    /// Whether it is in an installed package or in Python itself.
    pub(crate) fn is_in_library(&self) -> bool {
        let path = PathBuf::from(&self.file);
        let mut parts = path.components();
        self.file.starts_with('<')
            || parts.any(|part| {
                let name = part.as_os_str().to_string_lossy();
                name == "site-packages" || name == "dist-packages" || name.starts_with("python3.")
            })
    }
}

/// Lines before and after the one in question.
const AROUND: usize = 5;

/// Endless recursion has a thousand.
const MAX_FRAMES: usize = 50;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn places_have_their_source_and_the_last_call_is_the_first() {
        Python::initialize();
        Python::attach(|py| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("reported.py");
            let source =
                "def outer():\n    inner()\n\n\ndef inner():\n    raise KeyError('gone')\n";
            fs::write(&file, source).unwrap();
            let code = format!("exec(compile({source:?}, {file:?}, 'exec'))\nouter()");
            let code = std::ffi::CString::new(code).unwrap();
            let globals = pyo3::types::PyDict::new(py);
            let error = py.run(&code, Some(&globals), None).unwrap_err();
            let report = ExceptionReport::of(py, &error);
            assert_eq!(report.summary, "KeyError: 'gone'");
            assert!(
                report
                    .traceback
                    .starts_with("Traceback (most recent call last):")
            );
            let inner = &report.frames[0];
            assert_eq!((inner.line, &*inner.function), (6, "inner"));
            assert_eq!(inner.source.len(), 6);
            assert_eq!(
                inner.source[5],
                (6, "    raise KeyError('gone')".to_owned())
            );
            assert_eq!(report.frames[1].function, "outer");
            assert!(!inner.is_in_library());
            assert!(report.frames[2].is_in_library(), "{:?}", report.frames[2]);
        });
    }
}
