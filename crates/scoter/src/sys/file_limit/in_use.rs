//! How many descriptors below the open file limit are in use.

use std::fs;
use std::io;
use std::os::fd::RawFd;

use rustix::io::{Errno, FdFlags, fcntl_getfd};

use super::soft_limit;
use crate::sys::raw_fd::with_borrowed;

/// The descriptors that a program started by this process inherits, standard streams included:
/// those that nobody has marked to be closed by an exec.
pub(crate) fn inherited() -> u64 {
    count(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// All open descriptors.
pub(crate) fn open() -> u64 {
    count(|_| true)
}

/// Those with numbers beyond the limit leave room for as many others: the limit is one of numbers
/// (getrlimit(2), RLIMIT_NOFILE).
fn count(counts: impl Fn(FdFlags) -> bool) -> u64 {
    let limit = soft_limit();
    let numbers = match numbers() {
        Ok(numbers) => numbers,
        // Not even one is free, to read the directory.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => return limit,
        // Without /proc nothing is known.
        Err(_) => return 0,
    };
    let is_below = |number: &RawFd| u64::try_from(*number).is_ok_and(|number| number < limit);
    let in_use = numbers.into_iter().filter(is_below).filter(|number| {
        let flags = with_borrowed(*number, |descriptor| fcntl_getfd(descriptor));
        flags.is_ok_and(&counts)
    });
    in_use.count() as u64
}

/// The numbers of all descriptors, and that of the directory, which is closed again.
fn numbers() -> io::Result<Vec<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.flatten().filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::fcntl_setfd;

    use super::*;

    #[test]
    fn descriptors_that_an_exec_closes_are_open_but_not_inherited() {
        // Other tests open some meanwhile.
        const OTHERS: u64 = 100;
        let before = inherited();
        let files: Vec<_> = (0..2 * OTHERS)
            .map(|_| File::open("/dev/null").unwrap())
            .collect();
        assert!(open() >= 2 * OTHERS);
        assert!(inherited() < before + OTHERS);
        for file in &files {
            fcntl_setfd(file, FdFlags::empty()).unwrap();
        }
        assert!(inherited() > before + OTHERS);
    }
}
