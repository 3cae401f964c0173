//! The environment of the Python that runs this program.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static PREFIX: OnceLock<PathBuf> = OnceLock::new();

/// Python's `sys.prefix`, such as the directory of a virtual environment, once that is known.
pub(crate) fn prefix() -> Option<&'static Path> {
    PREFIX.get().map(PathBuf::as_path)
}

/// Says what it is. It does not change.
pub(crate) fn set_prefix(prefix: PathBuf) {
    PREFIX.get_or_init(|| prefix);
}
