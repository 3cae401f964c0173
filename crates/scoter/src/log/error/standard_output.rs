//! Standard output, for what the application prints there.

use std::sync::{Arc, LazyLock, Mutex};

use tracing::warn;

use super::standard_error::{self, LossyWriter, WRITE_TIMEOUT};
use crate::log::streams;
use crate::log::write_lock::is_same;

/// Writes whole lines, as to standard error.
pub(super) fn write_lines(lines: &[u8]) {
    let output = streams::standard_output();
    // One lock for one pipe: those of the kernel do not tell threads apart.
    if is_same(output, streams::standard_error()) {
        return standard_error::write_lines(lines);
    }
    if let Some(lost @ 1..) = WRITER.write(output, lines, WRITE_TIMEOUT) {
        warn!(
            lost,
            "output of the application was lost: nobody was reading standard output, or its disk \
             was full"
        );
    }
}

/// Writes lines at the end of a thread, as to standard error.
pub(super) fn write_last_lines(lines: &str) {
    let output = streams::standard_output();
    if is_same(output, streams::standard_error()) {
        return standard_error::write_last_lines(lines);
    }
    WRITER.write_silently(output, lines);
}

/// The lock that all threads that write to standard output share.
pub(in crate::log) fn threads() -> Arc<Mutex<()>> {
    Arc::clone(&WRITER.threads)
}

static WRITER: LazyLock<LossyWriter> = LazyLock::new(LossyWriter::default);
