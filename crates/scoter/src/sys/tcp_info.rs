//! What the kernel says about a TCP socket (TCP_INFO in tcp(7)).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

/// Asks the kernel about a TCP socket.
///
/// # Errors
///
/// Those of getsockopt(2), for instance for a socket of another kind.
pub(crate) fn tcp_info(socket: impl AsFd) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>())
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    #[expect(unsafe_code, reason = "no library that is here has this option")]
    // SAFETY: `info` has room for `length` bytes, and the kernel writes no more than that. It is a
    // structure of numbers, of which every value is valid, and what the kernel leaves out is zero.
    let (result, info) = unsafe {
        let result = libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        );
        (result, info.assume_init())
    };
    match result {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error()),
    }
}
