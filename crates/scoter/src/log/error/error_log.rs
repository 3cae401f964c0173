//! `--error-log`: a file in place of standard error.
//!
//! The file becomes descriptor 2, which other processes inherit. So it also gets what Python and C
//! code print there, crashes included.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use tracing::{debug, error, info};

use super::standard_error;
use crate::log::append::{FileError, append_without_waiting};
use crate::log::streams;

/// Replaces standard error by a file, which is created with mode 640 if it does not exist. Until
/// [`start_is_over`], messages go to both.
///
/// # Errors
///
/// That of opening the file.
pub(crate) fn open_error_log(path: &Path) -> Result<(), FileError> {
    let opened = append_without_waiting(path).and_then(|file| {
        info!(path = %path.display(), "messages go to the error log from now on");
        streams::remember_standard_error();
        streams::replace_standard_error(&file)
    });
    opened.map_err(|error| FileError {
        log: "error log",
        path: path.to_owned(),
        error,
    })?;
    standard_error::begin_start();
    Ok(())
}

/// Has messages go to the error log alone.
pub(crate) fn start_is_over() {
    standard_error::end_start();
}

/// Opens the file anew, because it has been renamed, and returns it for other processes. If that
/// fails, the old file stays in use.
pub(crate) fn reopen_error_log(path: &Path) -> Option<File> {
    let opened = append_without_waiting(path)
        .and_then(|file| streams::replace_standard_error(&file).map(|()| file));
    let path = path.display();
    match opened {
        Ok(file) => {
            debug!(%path, "error log reopened");
            Some(file)
        }
        Err(error) => {
            // Whoever has renamed the file may not look there.
            standard_error::write_to_both(|| {
                error!(
                    %path,
                    %error,
                    "cannot reopen the error log: the old file stays in use"
                );
            });
            None
        }
    }
}

/// Writes to the file that the master has opened.
pub(crate) fn take_error_log(file: impl AsFd) {
    if let Err(error) = streams::replace_standard_error(&file) {
        error!(%error, "cannot use the reopened error log: the old file stays in use");
    }
}
