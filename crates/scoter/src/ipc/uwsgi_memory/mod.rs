//! What workers of all generations share for the module `uwsgi`: locks, signals, and what each worker
//! tells of itself.
//!
//! One mapping for the whole server, made once `--uwsgi-module` is given and kept from then on, so that
//! two generations exclude each other during a reload.

mod robust_mutex;
mod worker_row;

use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{
    MemfdFlags, SealFlags, Timespec, fcntl_add_seals, fstat, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;

pub(crate) use robust_mutex::RobustMutex;
pub(crate) use worker_row::WorkerRow;

/// The shared memory. It stays mapped for as long as the process lives: the C library's list of the
/// mutexes that a thread holds leads through it.
#[derive(Debug)]
pub(crate) struct UwsgiMemory(NonNull<Layout>);

/// Signals of uWSGI, each with how often it has been raised and not been handled.
pub(crate) type RaisedSignals = [AtomicU32; 256];

#[repr(C, align(64))]
struct Layout {
    /// [`LAYOUT`], so that no other release takes the memory for what it is not.
    layout: AtomicU64,
    /// Requests that all workers have finished, also those that are gone.
    requests: AtomicU64,
    /// Changes whenever somebody may have something to do.
    bell: AtomicU32,
    /// Held by the thread that runs timers and signals for all workers.
    election: RobustMutex,
    locks: [RobustMutex; LOCKS],
    /// Signals for whoever is elected.
    raised: RaisedSignals,
    /// When timers and crons have last been due, by their signals: whoever is elected next goes on from
    /// there.
    timers: [AtomicU64; 256],
    crons: [AtomicU64; 256],
    rows: [WorkerRow; ROWS],
}

impl UwsgiMemory {
    /// Makes the memory, which is then to be [attached](Self::attach) in each process that uses it.
    ///
    /// # Errors
    ///
    /// System errors, if no memory or descriptors are available.
    pub(crate) fn create() -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("scoter-uwsgi", flags)?;
        ftruncate(&fd, size_of::<Layout>() as u64)?;
        // Prevents any process with the descriptor from making the file shorter than the mappings.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let memory = Self::map(&fd)?;
        let layout = memory.layout();
        for mutex in layout.locks.iter().chain([&layout.election]) {
            mutex.initialize()?;
        }
        layout.layout.store(LAYOUT, Ordering::Release);
        Ok(fd)
    }

    /// Maps it. The descriptor is not needed any more.
    ///
    /// # Errors
    ///
    /// System errors, and `InvalidData` for anything that is not of this release's layout.
    pub(crate) fn attach(fd: impl AsFd) -> io::Result<Self> {
        let memory = Self::map(fd)?;
        match memory.layout().layout.load(Ordering::Acquire) {
            LAYOUT => Ok(memory),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn map(fd: impl AsFd) -> io::Result<Self> {
        if fstat(&fd)?.st_size.try_into() != Ok(size_of::<Layout>()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: a new mapping at an address of the kernel's choice; no other pointer into it
        // exists.
        let base = unsafe {
            mmap(
                null_mut(),
                size_of::<Layout>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )?
        };
        let layout = NonNull::new(base.cast());
        layout
            .map(Self)
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn layout(&self) -> &Layout {
        #[expect(unsafe_code, reason = "memory shared between processes")]
        // SAFETY: the mapping is as long as a `Layout`, as `map` has checked and the seals keep it, is
        // aligned to a page, and is never unmapped. All bytes are valid atomics, other processes
        // write through atomics and mutexes only, and a mutex is a cell.
        unsafe {
            self.0.as_ref()
        }
    }

    /// The lock with this number, which `uwsgi.lock()` takes.
    pub(crate) fn lock(&self, number: usize) -> Option<&RobustMutex> {
        self.layout().locks.get(number)
    }

    /// The mutex of the thread that runs timers and signals for all workers.
    pub(crate) fn election(&self) -> &RobustMutex {
        &self.layout().election
    }

    /// Signals for whoever is elected.
    pub(crate) fn raised(&self) -> &RaisedSignals {
        &self.layout().raised
    }

    /// When the timer of a signal was last due, in nanoseconds of the monotonic clock; 0 before.
    pub(crate) fn timer(&self, signal: u8) -> &AtomicU64 {
        &self.layout().timers[usize::from(signal)]
    }

    /// In which minute since 1970 the cron of a signal was last due; 0 before.
    pub(crate) fn cron(&self, signal: u8) -> &AtomicU64 {
        &self.layout().crons[usize::from(signal)]
    }

    /// The rows of the workers 1, 2, ….
    pub(crate) fn rows(&self) -> &[WorkerRow] {
        &self.layout().rows
    }

    /// The row of a worker. Only the first 1536 have one: half as many again as `--workers` allows.
    pub(crate) fn row(&self, worker: u32) -> Option<&WorkerRow> {
        let index = usize::try_from(worker).ok()?.checked_sub(1)?;
        self.rows().get(index)
    }

    /// How many requests all workers have finished.
    pub(crate) fn requests(&self) -> &AtomicU64 {
        &self.layout().requests
    }

    /// What to give to [`wait`](Self::wait), read before one looks for something to do.
    pub(crate) fn bell(&self) -> u32 {
        self.layout().bell.load(Ordering::Acquire)
    }

    /// Wakes everybody who waits, in all workers.
    pub(crate) fn ring(&self) {
        let bell = &self.layout().bell;
        bell.fetch_add(1, Ordering::AcqRel);
        // Without an effect if nobody waits.
        let _ = futex::wake(bell, futex::Flags::empty(), u32::MAX >> 1);
    }

    /// Waits until somebody rings, for at most `timeout`. Returns at once if it has rung since `bell`
    /// was read.
    pub(crate) fn wait(&self, bell: u32, timeout: Duration) {
        let timeout = Timespec::try_from(timeout).ok();
        // Whatever the reason: the caller looks again.
        let _ = futex::wait(
            &self.layout().bell,
            futex::Flags::empty(),
            bell,
            timeout.as_ref(),
        );
    }
}

#[expect(unsafe_code, reason = "memory shared between processes")]
// SAFETY: all of it is atomics and mutexes, made for threads.
unsafe impl Send for UwsgiMemory {}

#[expect(unsafe_code, reason = "memory shared between processes")]
// SAFETY: as for `Send`.
unsafe impl Sync for UwsgiMemory {}

/// How many locks there are: uWSGI has one, and as many more as `locks` says.
pub(crate) const LOCKS: usize = 256;

/// Workers that may run at the same time, during a reload.
const ROWS: usize = 1_536;

/// Differs in each release that lays the memory out differently, and where the C library does.
const LAYOUT: u64 =
    u64::from_le_bytes(*b"uwsgi\x01\x00\x00") | (offset_of!(Layout, raised) as u64) << 48;

#[cfg(test)]
impl UwsgiMemory {
    /// New memory.
    pub(super) fn of_test() -> Self {
        Self::attach(Self::create().unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn other_mapping_shows_the_same() {
        let fd = UwsgiMemory::create().unwrap();
        let [memory, other] = [(); 2].map(|()| UwsgiMemory::attach(&fd).unwrap());
        memory.requests().store(7, Ordering::Relaxed);
        assert_eq!(other.requests().load(Ordering::Relaxed), 7);
        let fd = memfd_create("empty", MemfdFlags::CLOEXEC).unwrap();
        assert!(UwsgiMemory::attach(&fd).is_err());
    }

    #[test]
    fn rows_are_those_of_workers_from_one() {
        let memory = UwsgiMemory::of_test();
        assert!(memory.row(0).is_none());
        assert!(std::ptr::eq(memory.row(1).unwrap(), &memory.rows()[0]));
        assert!(memory.row(1_536).is_some());
        assert!(memory.row(1_537).is_none());
    }

    #[test]
    fn ring_wakes_whoever_waits_and_is_not_missed() {
        let memory = UwsgiMemory::of_test();
        let started = Instant::now();
        let bell = memory.bell();
        memory.ring();
        memory.wait(bell, Duration::from_secs(60));
        let bell = memory.bell();
        thread::scope(|scope| {
            scope.spawn(|| memory.wait(bell, Duration::from_secs(60)));
            memory.ring();
        });
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
