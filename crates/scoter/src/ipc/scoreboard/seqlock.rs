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

/// Lets readers know whether they have seen a part of what one thread writes, or all of it.
///
/// What is written and read are relaxed atomics, for both may happen at once. The fences are
/// those of H.-J. Boehm, "Can seqlocks get along with programming language memory models?"
/// (2012).
#[derive(Debug, Default)]
#[repr(transparent)]
pub(super) struct SeqLock(
    /// Odd while something is written.
    AtomicU32,
);

impl SeqLock {
    /// Has `write` write what belongs together. For one thread only.
    pub(super) fn write(&self, write: impl FnOnce()) {
        let odd = self.0.load(Relaxed) | 1;
        self.0.store(odd, Relaxed);
        // Who reads something of what follows also sees that the number is odd, or a later one.
        fence(Release);
        write();
        self.0.store(odd.wrapping_add(1), Release);
    }

    /// What `read` has read while nothing was written. `None` where the writer does not come to
    /// an end of it.
    pub(super) fn read<T>(&self, read: impl Fn() -> T) -> Option<T> {
        (0..MAX_READS).find_map(|_| {
            let before = self.0.load(Acquire);
            if before & 1 == 1 {
                spin_loop();
                return None;
            }
            let value = read();
            // If something of that was newer than `before`, so is the number that is read next.
            fence(Acquire);
            (self.0.load(Relaxed) == before).then_some(value)
        })
    }
}

/// How often a reader tries.
const MAX_READS: usize = 64;

#[cfg(all(test, feature = "loom"))]
mod model;
