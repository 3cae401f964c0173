//! The output of `faulthandler` when a process of the server crashes.
//!
//! It writes while the process dies, in many small pieces, which would mix with the lines of
//! other processes in the log. So workers and launchers write into memory shared with the
//! master, which logs it in one message.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// The memory for one process's report, empty unless it has crashed.
#[derive(Debug)]
pub(crate) struct CrashReport(File);

impl CrashReport {
    /// Creates empty memory.
    ///
    /// # Errors
    ///
    /// System errors, if no descriptors are available.
    pub(crate) fn create() -> io::Result<Self> {
        let memory = memfd_create("scoter-crash", MemfdFlags::CLOEXEC)?;
        Ok(Self(memory.into()))
    }

    /// Reads the report, on lines of its own; `None` if it is empty.
    pub(crate) fn read(&self) -> Option<String> {
        let mut bytes = vec![0; MAX_LENGTH];
        let length = self.0.read_at(&mut bytes, 0).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        (!text.trim().is_empty()).then(|| format!("\n{}", text.trim_end()))
    }
}

impl AsFd for CrashReport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes of a report that are logged: some hundred calls.
const MAX_LENGTH: usize = 12 * 1_024;
