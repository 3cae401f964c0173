//! Checks that the descriptors on which the process depends are still the same.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::fstat;
use rustix::io::Errno;

use super::high::with_low_numbers_taken;
use crate::sys::raw_fd::with_borrowed;

/// Makes [`find_loss`] check a descriptor while the result is kept. Drop the result before the
/// descriptor.
#[must_use]
pub(crate) fn watch(name: impl Into<String>, descriptor: impl AsFd) -> Watch {
    Watch(WATCHED.add(name.into(), descriptor.as_fd().as_raw_fd()))
}

/// Makes [`find_loss`] check a descriptor that scoter never closes.
pub(crate) fn watch_for_ever(name: impl Into<String>, descriptor: impl AsFd) {
    WATCHED.add(name.into(), descriptor.as_fd().as_raw_fd());
}

/// A watched descriptor.
#[derive(Debug)]
pub(crate) struct Watch(u64);

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.remove(self.0);
    }
}

/// Runs `work`, which opens descriptors that its caller cannot access, gives them high numbers and
/// makes [`find_loss`] check them. Must not run while the application opens files.
pub(crate) fn watch_opened<R>(name: &str, work: impl FnOnce() -> R) -> R {
    with_low_numbers_taken(MAX_OPENED, |lowest| {
        let numbers = lowest..lowest + MAX_OPENED;
        let is_open = |number: &RawFd| Identity::of(*number).is_ok();
        let open_before: Vec<_> = numbers.clone().filter(is_open).collect();
        let result = work();
        for number in numbers.filter(is_open) {
            if !open_before.contains(&number) {
                WATCHED.add(format!("{name}, {number}"), number);
            }
        }
        result
    })
}

/// Checks whether one of the watched descriptors has been closed or replaced.
pub(crate) fn find_loss() -> Option<Loss> {
    WATCHED.find_loss()
}

/// A lost descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) name: String,
    number: RawFd,
    is_closed: bool,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number, is_closed, ..
        } = self;
        let end = match is_closed {
            true => "was closed",
            false => "was closed and its number reused",
        };
        write!(f, "descriptor {number} {end}: not by scoter")
    }
}

static WATCHED: Watched = Watched::new();

#[derive(Debug)]
struct Watched {
    descriptors: Mutex<Vec<Descriptor>>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Descriptor {
    id: u64,
    name: String,
    number: RawFd,
    identity: Identity,
}

/// The identity of an open file. Anonymous files, such as eventfds and epoll instances, cannot be
/// distinguished from each other, only from all other files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    mode: u32,
}

impl Identity {
    fn of(number: RawFd) -> Result<Self, Errno> {
        let stat = with_borrowed(number, |fd| fstat(fd))?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            // Only the file type, because permissions may change.
            mode: stat.st_mode & 0o170_000,
        })
    }
}

impl Watched {
    const fn new() -> Self {
        Self {
            descriptors: Mutex::new(Vec::new()),
            next_id: AtomicU64::new(0),
        }
    }

    /// Returns the key for removing it.
    fn add(&self, name: String, number: RawFd) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        if let Ok(identity) = Identity::of(number) {
            self.lock().push(Descriptor {
                id,
                name,
                number,
                identity,
            });
        }
        id
    }

    fn remove(&self, id: u64) {
        self.lock().retain(|one| one.id != id);
    }

    fn find_loss(&self) -> Option<Loss> {
        self.lock().iter().find_map(|descriptor| {
            let now = Identity::of(descriptor.number);
            (now != Ok(descriptor.identity)).then(|| Loss {
                name: descriptor.name.clone(),
                number: descriptor.number,
                is_closed: now.is_err(),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Descriptor>> {
        self.descriptors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most descriptors that one call of [`watch_opened`] may open, and the range of their numbers.
const MAX_OPENED: RawFd = 64;

#[cfg(test)]
mod tests {
    use std::os::fd::{IntoRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use rustix::event::{EventfdFlags, eventfd};
    use rustix::io::dup2;

    use super::*;

    /// Another thread must not get the number meanwhile.
    fn high(descriptor: impl Into<OwnedFd>) -> OwnedFd {
        super::super::move_aside(descriptor)
    }

    #[test]
    fn closed_and_replaced_descriptors_are_named() {
        let event = || eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let socket = || OwnedFd::from(UnixStream::pair().unwrap().0);
        let file = || OwnedFd::from(tempfile::tempfile().unwrap());
        for (name, one, other) in [
            ("socket by socket", socket(), socket()),
            ("file by file", file(), file()),
            ("eventfd by socket", event(), socket()),
            ("socket by eventfd", socket(), event()),
        ] {
            let watched = Watched::new();
            let mut one = high(one);
            watched.add(name.to_owned(), one.as_raw_fd());
            assert_eq!(watched.find_loss(), None, "{name}");
            dup2(&other, &mut one).unwrap();
            let loss = watched.find_loss().unwrap();
            assert_eq!((&*loss.name, loss.is_closed), (name, false));
        }
        let watched = Watched::new();
        let one = high(event());
        let number = one.as_raw_fd();
        watched.add("closed".to_owned(), number);
        drop(one);
        assert_eq!(
            watched.find_loss().unwrap().to_string(),
            format!("descriptor {number} was closed: not by scoter")
        );
    }

    #[test]
    fn unwatched_descriptor_may_be_closed() {
        let watched = Watched::new();
        let [first, second] = [(), ()].map(|()| high(UnixStream::pair().unwrap().0));
        let id = watched.add("log".to_owned(), first.as_raw_fd());
        let _ = watched.add("log".to_owned(), second.as_raw_fd());
        watched.remove(id);
        drop(first);
        assert_eq!(watched.find_loss(), None);
        drop(second);
        assert!(watched.find_loss().is_some());
    }

    #[test]
    fn descriptors_opened_by_libraries_are_watched_at_high_numbers() {
        let opened = watch_opened("test", || eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let number = opened.into_raw_fd();
        let names = WATCHED
            .lock()
            .iter()
            .map(|one| one.number)
            .collect::<Vec<_>>();
        assert!(names.contains(&number), "{number} is not among {names:?}");
        WATCHED.lock().clear();
    }
}
