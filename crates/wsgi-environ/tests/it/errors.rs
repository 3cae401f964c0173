use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_environ::Errors;

use crate::harness::{Log, eval};

/// Runs statements with `errors` and returns what was logged, call by call.
fn logged(source: &str) -> Vec<String> {
    Python::attach(|py| {
        let log = Log::default();
        run(py, source, &Bound::new(py, log.errors()).unwrap()).unwrap();
        log.pieces()
    })
}

fn run<'py>(py: Python<'py>, source: &str, errors: &Bound<'py, Errors>) -> PyResult<()> {
    let names = PyDict::new(py);
    names.set_item("errors", errors)?;
    py.run(&std::ffi::CString::new(source)?, Some(&names), None)
}

#[test]
fn lines_are_logged_whole() {
    let cases: &[(&str, &[&str])] = &[
        (r"errors.write('one\n')", &["one\n"]),
        (r"errors.write('on'); errors.write('e\n')", &["one\n"]),
        (r"errors.write('one\ntwo\nthr')", &["one\ntwo\n"]),
        (r"errors.write('thr'); errors.write('ee\nfo')", &["three\n"]),
        (r"errors.write('')", &[]),
        (r"errors.write('one'); errors.flush()", &[]),
        (r"errors.writelines(['a\n', 'b', 'c\n'])", &["a\n", "bc\n"]),
        (r"print('one', 2, file=errors, flush=True)", &["one 2\n"]),
        (r"errors.write('\u20ac\u00e9\n')", &["\u{20ac}\u{e9}\n"]),
        (r"errors.write('a\udc80b\n')", &["a\\udc80b\n"]),
    ];
    for (source, expected) in cases {
        assert_eq!(logged(source), *expected, "{source}");
    }
}

#[test]
fn end_of_request_completes_the_last_line() {
    Python::attach(|py| {
        let log = Log::default();
        let errors = Bound::new(py, log.errors()).unwrap();
        run(py, "errors.write('partial')", &errors).unwrap();
        errors.get().finish(py);
        errors.get().finish(py);
        assert_eq!(log.pieces(), ["partial\n"]);

        run(py, r"errors.write('later\n')", &errors).unwrap();
        assert_eq!(log.pieces(), ["partial\n", "later\n"]);
    });
}

#[test]
fn endless_line_is_logged_in_pieces() {
    let pieces = logged("for _ in range(65): errors.write('x' * 1024)");
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].len(), 64 * 1024 + 1);
    assert!(pieces[0].ends_with("x\n"));
}

#[test]
fn write_takes_text_and_returns_its_length() {
    Python::attach(|py| {
        let names = PyDict::new(py);
        names
            .set_item("errors", Bound::new(py, Log::default().errors()).unwrap())
            .unwrap();
        assert_eq!(eval(py, r"errors.write('\u20acuro\n')", &names), "5");
        assert_eq!(eval(py, "errors.write('')", &names), "0");
    });
    for source in [
        "errors.write(b'x')",
        "errors.write(1)",
        "errors.writelines([b'x'])",
    ] {
        Python::attach(|py| {
            let errors = Bound::new(py, Log::default().errors()).unwrap();
            let error = run(py, source, &errors).unwrap_err();
            assert!(
                error.is_instance_of::<pyo3::exceptions::PyTypeError>(py),
                "{source}"
            );
        });
    }
}

#[test]
fn handlers_of_the_standard_library_can_write_to_it() {
    let pieces = logged(
        "import logging, traceback
logger = logging.Logger('test')
logger.addHandler(logging.StreamHandler(errors))
logger.warning('careful')
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc(file=errors)",
    );
    let text = pieces.concat();
    assert!(
        text.starts_with("careful\nTraceback (most recent call last):\n"),
        "{text}"
    );
    assert!(
        text.ends_with("ZeroDivisionError: division by zero\n"),
        "{text}"
    );
}
