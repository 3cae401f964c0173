use std::env;
use std::path::{Path, PathBuf};

use crate::skip::skip;

/// Returns the program of uWSGI itself, whose behaviour tests compare with scoter's: the one that `UWSGI` names, else
/// the one that `make uwsgi` builds. It runs on the Python that scoter runs on, and has `uwsgidecorators` beside it.
///
/// If there is none, the test has been skipped, and returns.
///
/// # Panics
///
/// As [`skip`].
#[track_caller]
pub fn real_uwsgi() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/uwsgi/.venv/bin/uwsgi");
    let program = env::var_os("UWSGI").map_or(built, PathBuf::from);
    if program.is_file() {
        return Some(program);
    }
    skip(&format!("no {}; build it: make uwsgi", program.display()));
    None
}
