//! The memory of responses that wait for slow readers: its limit, and how it is freed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3::pybacked::PyBackedBytes;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use crate::sys::descriptors::move_up;
use crate::sys::fork::Own;
use crate::sys::process::trim_memory;

/// What the log calls its descriptor.
pub(crate) const NAME: &str = "wake-up for memory to free";

/// Bytes that the responses of a worker may keep in memory while they wait for their readers,
/// and those that nobody needs any more.
///
/// Objects of Python can only be freed by a thread that is attached, which the reactor's never
/// is: it leaves them here, and wakes a slot. They count until they are freed.
#[derive(Debug)]
pub(crate) struct ResponseMemory {
    /// Bytes that are not taken.
    left: AtomicU64,
    unneeded: Mutex<Vec<Retained>>,
    /// Whether there are any, readable without the lock by slots under load.
    has_unneeded: AtomicBool,
    /// Whether something was freed that the system has not been given back.
    is_untrimmed: AtomicBool,
    trimmed: Mutex<Option<Instant>>,
    wakeup: Own,
}

/// A part of the memory; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<ResponseMemory>,
    bytes: u64,
}

/// The larger pieces of a response's body.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    chunks: Vec<PyBackedBytes>,
    /// Where a slow reader is waited for.
    share: Option<Share>,
}

#[derive(Debug)]
struct Retained {
    #[expect(unused, reason = "dropping them is their use")]
    chunks: Vec<PyBackedBytes>,
    #[expect(unused, reason = "dropping it is its use")]
    share: Share,
}

impl ResponseMemory {
    /// # Errors
    ///
    /// Those of the system, when it has no descriptors to give.
    pub(crate) fn new(bytes: u64) -> Result<Arc<Self>, Errno> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Arc::new(Self {
            left: AtomicU64::new(bytes),
            unneeded: Mutex::default(),
            has_unneeded: AtomicBool::new(false),
            is_untrimmed: AtomicBool::new(false),
            trimmed: Mutex::default(),
            wakeup: move_up(eventfd(0, flags)?),
        }))
    }

    /// Takes so many bytes, if there are as many.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.ok().map(|_| Share {
            memory: Arc::clone(self),
            bytes,
        })
    }

    /// Frees what nobody needs any more, if there is anything. What is freed stays the
    /// process's until [`trim`](Self::trim).
    pub(crate) fn free_unneeded(&self, _attached: Python<'_>) {
        if self.has_unneeded.load(Ordering::Acquire) {
            let unneeded = {
                let mut unneeded = self.unneeded.lock().unwrap_or_else(PoisonError::into_inner);
                self.has_unneeded.store(false, Ordering::Release);
                std::mem::take(&mut *unneeded)
            };
            // Not under the lock: the interpreter may have something else to do first.
            drop(unneeded);
            self.note_freed();
        }
    }

    /// Takes note of memory that was freed, and that [`trim`](Self::trim) can give back.
    pub(crate) fn note_freed(&self) {
        self.is_untrimmed.store(true, Ordering::Release);
    }

    /// Gives what has been freed back to the system, at most once in [`TRIM_INTERVAL`]: it takes
    /// long, and is for slots that have nothing to do.
    pub(crate) fn trim(&self, py: Python<'_>) {
        if !self.is_untrimmed.load(Ordering::Acquire) {
            return;
        }
        py.detach(|| {
            let is_due = {
                let mut trimmed = self.trimmed.lock().unwrap_or_else(PoisonError::into_inner);
                let is_due = is_over(*trimmed);
                if is_due {
                    *trimmed = Some(Instant::now());
                }
                is_due
            };
            if is_due && self.is_untrimmed.swap(false, Ordering::AcqRel) {
                trim_memory();
            }
        });
    }

    /// Wakes a slot for what was freed too soon after the last [`trim`](Self::trim).
    pub(crate) fn remind(&self) {
        if self.is_untrimmed.load(Ordering::Acquire) {
            let trimmed = *self.trimmed.lock().unwrap_or_else(PoisonError::into_inner);
            if is_over(trimmed) {
                self.wake();
            }
        }
    }

    /// Takes note that a slot is awake for it: the others may sleep on.
    pub(crate) fn consume_wakeup(&self) {
        let _ = read(&self.wakeup, &mut [0u8; 8]);
    }

    fn leave(&self, retained: Retained) {
        let mut unneeded = self.unneeded.lock().unwrap_or_else(PoisonError::into_inner);
        unneeded.push(retained);
        self.has_unneeded.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        let _ = write(&self.wakeup, &1u64.to_ne_bytes());
    }
}

impl AsFd for ResponseMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Pieces {
    /// Counts them, until they are freed, as a part of the memory.
    pub(crate) fn count(&mut self, share: Share) {
        self.share = Some(share);
    }

    /// Bytes of all of them, those that have been sent included: they are freed together.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.chunks[index]
    }
}

impl From<Vec<PyBackedBytes>> for Pieces {
    fn from(chunks: Vec<PyBackedBytes>) -> Self {
        Self {
            chunks,
            share: None,
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let Some(share) = self.share.take() else {
            return;
        };
        let chunks = std::mem::take(&mut self.chunks);
        if !chunks.is_empty() {
            let memory = Arc::clone(&share.memory);
            memory.leave(Retained { chunks, share });
        }
    }
}

/// Whether [`TRIM_INTERVAL`] is over.
fn is_over(trimmed: Option<Instant>) -> bool {
    trimmed.is_none_or(|time| time.elapsed() >= TRIM_INTERVAL)
}

/// Between two times at which memory is given back: a walk over all that the allocator has.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use pyo3::prelude::*;
    use pyo3::types::PyBytes;

    use super::*;

    const BYTES: u64 = 1_000;

    type End = fn(Pieces);

    fn memory() -> Arc<ResponseMemory> {
        ResponseMemory::new(BYTES).unwrap()
    }

    fn references(object: &Py<PyBytes>) -> usize {
        Python::attach(|py| {
            let sys = py.import("sys").unwrap();
            let count = sys.call_method1("getrefcount", (object,)).unwrap();
            count.extract().unwrap()
        })
    }

    fn left(memory: &ResponseMemory) -> u64 {
        memory.left.load(Ordering::Relaxed)
    }

    fn pieces(object: &Py<PyBytes>) -> Pieces {
        Python::attach(|py| Pieces::from(vec![PyBackedBytes::from(object.bind(py).clone())]))
    }

    #[test]
    fn more_than_there_is_is_not_given() {
        let memory = memory();
        assert!(memory.take(BYTES + 1).is_none());
        let all = memory.take(BYTES).unwrap();
        assert!(memory.take(1).is_none());
        assert!(memory.take(0).is_some(), "nothing needs no room");
        drop(all);
        assert_eq!(left(&memory), BYTES);
    }

    #[test]
    fn bytes_count_until_they_are_freed_and_once_however_the_response_ends() {
        Python::initialize();
        let ends: [(&str, End); 4] = [
            ("sent or given up", drop),
            ("counted again", |mut pieces| {
                let share = pieces.share.as_ref().unwrap().memory.take(100).unwrap();
                pieces.count(share);
            }),
            ("exchanged", |mut pieces| {
                drop(std::mem::take(&mut pieces));
                drop(pieces);
            }),
            ("a panic", |pieces| {
                let panic = catch_unwind(AssertUnwindSafe(|| {
                    let _pieces = pieces;
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(panic.is_err());
            }),
        ];
        for (name, end) in ends {
            let memory = memory();
            let object = Python::attach(|py| PyBytes::new(py, &[b'x'; 100]).unbind());
            let references = || references(&object);
            let before = references();
            let mut pieces = pieces(&object);
            pieces.count(memory.take(pieces.bytes() as u64).unwrap());
            assert_eq!(left(&memory), BYTES - 100, "{name}");
            end(pieces);
            assert_eq!(left(&memory), BYTES - 100, "{name}: still in memory");
            assert_eq!(references(), before + 1, "{name}");
            Python::attach(|py| memory.free_unneeded(py));
            assert_eq!(left(&memory), BYTES, "{name}");
            assert_eq!(references(), before, "{name}");
        }
    }

    #[test]
    fn memory_is_given_back_by_who_is_idle_and_not_more_often_than_it_may() {
        Python::initialize();
        let memory = memory();
        let object = Python::attach(|py| PyBytes::new(py, &[b'x'; 100]).unbind());
        let free = |py: Python<'_>| {
            let mut pieces = pieces(&object);
            pieces.count(memory.take(100).unwrap());
            drop(pieces);
            memory.free_unneeded(py);
            memory.consume_wakeup();
        };
        let waits = || memory.is_untrimmed.load(Ordering::Relaxed);
        let is_woken = || read(&memory.wakeup, &mut [0u8; 8]).is_ok();
        Python::attach(|py| {
            free(py);
            assert!(waits(), "a slot with a response to send does not");
            memory.trim(py);
            assert!(!waits());
            memory.remind();
            assert!(!is_woken(), "there is nothing");
            free(py);
            memory.trim(py);
            assert!(waits(), "too soon");
            memory.remind();
            assert!(!is_woken(), "too soon");
            *memory.trimmed.lock().unwrap() = Instant::now().checked_sub(TRIM_INTERVAL);
            memory.remind();
            assert!(is_woken());
            memory.trim(py);
            assert!(!waits());
        });
    }

    #[test]
    fn head_alone_needs_nobody_to_free_it() {
        let memory = memory();
        let mut pieces = Pieces::default();
        pieces.count(memory.take(10).unwrap());
        drop(pieces);
        assert_eq!(left(&memory), BYTES);
        assert!(!memory.has_unneeded.load(Ordering::Relaxed));
    }

    #[test]
    fn threads_that_take_and_free_leave_what_there_was() {
        Python::initialize();
        let memory = memory();
        let object = Python::attach(|py| PyBytes::new(py, &[b'x'; 300]).unbind());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (memory, object) = (&memory, &object);
                scope.spawn(move || {
                    for round in 0..200 {
                        let mut pieces = pieces(object);
                        if let Some(share) = memory.take(300) {
                            pieces.count(share);
                        }
                        assert!(left(memory) <= BYTES);
                        drop(pieces);
                        if (round + thread) % 3 == 0 {
                            Python::attach(|py| memory.free_unneeded(py));
                        }
                    }
                });
            }
        });
        Python::attach(|py| memory.free_unneeded(py));
        assert_eq!(left(&memory), BYTES);
    }
}
