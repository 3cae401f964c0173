//! High descriptor numbers, which the kernel does not give to the application and the
//! application does not close by accident.

use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, dup2, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{Resource, getrlimit};

use crate::sys::raw_fd::with_borrowed;

/// Moves a descriptor that is needed as long as the process serves to a high number. If none is
/// free it keeps its own.
pub(crate) fn move_up<T: From<OwnedFd>>(descriptor: impl Into<OwnedFd>) -> T {
    T::from(raise(descriptor.into(), first()))
}

/// Moves a descriptor that outlives a call of the application, but not its request, to a number
/// above the permanent ones, so that it never takes one of their numbers.
pub(crate) fn move_aside<T: From<OwnedFd>>(descriptor: impl Into<OwnedFd>) -> T {
    T::from(raise(descriptor.into(), first() + PERMANENT))
}

/// Another descriptor of the same file, at a high number if the first one has one.
///
/// # Errors
///
/// System errors, if no descriptors are available.
pub(crate) fn duplicate(descriptor: impl AsFd) -> io::Result<OwnedFd> {
    let descriptor = descriptor.as_fd();
    let first = first();
    if descriptor.as_raw_fd() >= first {
        if let Ok(duplicate) = fcntl_dupfd_cloexec(descriptor, first) {
            return Ok(duplicate);
        }
    }
    Ok(fcntl_dupfd_cloexec(descriptor, LAST_STANDARD_STREAM + 1)?)
}

/// Moves a descriptor away from 0, 1 and 2. These are free if application code has closed a
/// standard stream, but other code, such as `print()`, still writes there. From now on this output
/// goes to `/dev/null`.
pub(crate) fn above_standard<T>(descriptor: T) -> T
where
    T: AsRawFd + From<OwnedFd> + Into<OwnedFd>,
{
    if descriptor.as_raw_fd() > LAST_STANDARD_STREAM {
        return descriptor;
    }
    let descriptor = descriptor.into();
    let Ok(moved) = fcntl_dupfd_cloexec(&descriptor, LAST_STANDARD_STREAM + 1) else {
        return T::from(descriptor);
    };
    let mut standard = descriptor;
    let replaced = open_null(OFlags::CLOEXEC).and_then(|null| dup2(&null, &mut standard));
    if replaced.is_ok() {
        let _ = standard.into_raw_fd();
    }
    T::from(moved)
}

/// Opens `/dev/null` in place of closed standard streams. Otherwise files opened later would get
/// their numbers, and a connection might receive what is printed.
pub(crate) fn fill_standard_streams() {
    // open(2) takes the lowest free number. Child processes inherit these.
    while let Ok(null) = open_null(OFlags::empty()) {
        if null.as_raw_fd() > LAST_STANDARD_STREAM {
            return;
        }
        let _ = null.into_raw_fd();
    }
}

/// Runs `work`, which opens at most `most` descriptors, with all low numbers taken, so that it gets
/// high ones, as far as available. Must not run while the application opens files. `work` receives
/// the lowest number that it can get.
pub(super) fn with_low_numbers_taken<R>(most: RawFd, work: impl FnOnce(RawFd) -> R) -> R {
    let next_from = |lowest| {
        let any = eventfd(0, EventfdFlags::CLOEXEC).ok()?;
        let next = fcntl_dupfd_cloexec(any, lowest).ok()?;
        Some(next.as_raw_fd())
    };
    // Others may have numbers in between.
    let has_room = |next: &RawFd| {
        let is_free = |number: &RawFd| with_borrowed(*number, |one| fcntl_getfd(one)).is_err();
        let wanted = usize::try_from(most).unwrap_or_default();
        (*next..limit()).filter(is_free).take(wanted).count() == wanted
    };
    match next_from(first()).filter(has_room) {
        Some(next) => {
            let taken = take_low_numbers();
            let result = work(next);
            drop(taken);
            result
        }
        None => work(0),
    }
}

fn open_null(flags: OFlags) -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlags::RDWR | flags, Mode::empty())
}

fn raise(descriptor: OwnedFd, lowest: RawFd) -> OwnedFd {
    if descriptor.as_raw_fd() >= lowest {
        return descriptor;
    }
    fcntl_dupfd_cloexec(&descriptor, lowest).unwrap_or(descriptor)
}

fn take_low_numbers() -> Vec<OwnedFd> {
    let Ok(any) = eventfd(0, EventfdFlags::CLOEXEC) else {
        return Vec::new();
    };
    let end = first();
    let free = std::iter::from_fn(|| fcntl_dupfd_cloexec(&any, 0).ok());
    let mut taken: Vec<_> = free.take_while(|one| one.as_raw_fd() < end).collect();
    taken.push(any);
    taken
}

/// The first high number: above the range that programs close to get rid of all descriptors, or
/// three quarters of RLIMIT_NOFILE.
fn first() -> RawFd {
    FIRST.min(limit() / 4 * 3)
}

fn limit() -> RawFd {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| RawFd::try_from(limit).ok());
    limit.unwrap_or(RawFd::MAX)
}

/// `os.closerange(3, 4096)`, and FD_SETSIZE of select(2), end below it.
const FIRST: RawFd = 4_096;

/// Numbers reserved for permanent descriptors: about one for each slot, and twenty.
const PERMANENT: RawFd = 128;

/// Standard error.
const LAST_STANDARD_STREAM: RawFd = 2;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn moved_descriptor_leads_to_the_same_file_at_a_high_number() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut writer: File = move_up(writer);
        assert!(writer.as_raw_fd() >= first());
        let number = writer.as_raw_fd();
        let again: OwnedFd = move_up(writer.try_clone().unwrap());
        assert!(again.as_raw_fd() > number);
        drop(again);
        writer.write_all(b"x").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn duplicate_of_a_high_descriptor_is_high() {
        let file = || File::open("/dev/null").unwrap();
        let low = duplicate(file()).unwrap();
        assert!((3..first()).contains(&low.as_raw_fd()));
        let high: OwnedFd = move_up(file());
        assert!(duplicate(&high).unwrap().as_raw_fd() > high.as_raw_fd());
    }

    #[test]
    fn high_descriptor_is_not_moved() {
        let one: OwnedFd = move_up(File::open("/dev/null").unwrap());
        let number = one.as_raw_fd();
        assert_eq!(move_up::<OwnedFd>(one).as_raw_fd(), number);
    }

    #[test]
    fn files_of_requests_leave_the_first_high_numbers_free() {
        let file: OwnedFd = move_aside(File::open("/dev/null").unwrap());
        assert!(file.as_raw_fd() >= first() + PERMANENT);
    }
}
