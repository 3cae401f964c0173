//! A sequence lock: its writer never waits for readers, which can be other processes.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

#[cfg(all(test, feature = "loom"))]
use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, fence},
};
#[cfg(not(all(test, feature = "loom")))]
use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, fence},
};

/// Lets readers detect whether they have read a partial write.
///
/// The data are relaxed atomics, because reads and writes may coincide. The fences are those of
/// H.-J. Boehm, "Can seqlocks get along with programming language memory models?" (2012).
#[derive(Debug, Default)]
#[repr(transparent)]
pub(super) struct SeqLock(
    /// Odd during a write.
    AtomicU32,
);

impl SeqLock {
    /// Runs `write`, whose writes belong together. Only one thread may call this.
    pub(super) fn write(&self, write: impl FnOnce()) {
        let odd = self.0.load(Relaxed) | 1;
        self.0.store(odd, Relaxed);
        // A reader that sees any of the following writes also sees this odd number, or a later one.
        fence(Release);
        write();
        self.0.store(odd.wrapping_add(1), Release);
    }

    /// The result of `read` when no write coincided with it; `None` if the write does not end.
    pub(super) fn read<T>(&self, read: impl Fn() -> T) -> Option<T> {
        (0..MAX_READS).find_map(|_| {
            let before = self.0.load(Acquire);
            if before & 1 == 1 {
                spin_loop();
                return None;
            }
            let value = read();
            // If any of that was newer than `before`, so is the number that is read next.
            fence(Acquire);
            (self.0.load(Relaxed) == before).then_some(value)
        })
    }
}

/// How many times a reader tries.
const MAX_READS: usize = 64;

#[cfg(all(test, feature = "loom"))]
mod model;
