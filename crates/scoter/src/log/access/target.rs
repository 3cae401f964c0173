//! Where access log lines go: `--access-log`.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use thiserror::Error;

use crate::log::append::{FileError, append_to};
use crate::log::streams;

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere; no lines are formatted.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl AccessLogTo {
    /// Parses a word that is not a file name.
    pub(crate) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "on" | "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// Opens it; `None` if it is nowhere.
    ///
    /// # Errors
    ///
    /// Those of opening the file, or of duplicating the stream.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        match self {
            Self::Off => Ok(None),
            Self::Stdout => duplicate(streams::standard_output()).map(Some),
            Self::Stderr => duplicate(streams::standard_error()).map(Some),
            Self::File(path) => append_to(path).map(Some),
        }
    }

    /// Why that has failed.
    pub(super) fn error(&self, error: io::Error) -> OpenError {
        match self {
            Self::File(path) => OpenError::File(FileError {
                log: "access log",
                path: path.clone(),
                error,
            }),
            Self::Off | Self::Stdout | Self::Stderr => OpenError::Stream(error),
        }
    }
}

/// Why the access log cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// The file cannot be opened.
    #[error(transparent)]
    File(FileError),
    /// Standard output or standard error cannot be used.
    #[error("cannot write an access log: {0}")]
    Stream(io::Error),
}

fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}
