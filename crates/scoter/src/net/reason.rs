//! Errors of system calls as people read them.

use std::io;

use rustix::io::Errno;

/// The text of a system error, without its number.
pub(super) fn reason(errno: Errno) -> io::Error {
    io::Error::from(errno)
}
