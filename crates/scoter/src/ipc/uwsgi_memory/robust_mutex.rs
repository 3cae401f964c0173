//! A mutex in shared memory, which the kernel frees when the thread that holds it dies.

use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;

/// `pthread_mutex_t` with PTHREAD_PROCESS_SHARED and PTHREAD_MUTEX_ROBUST, as uWSGI's locks are (its
/// log: "lock engine: pthread robust mutexes"). It is not recursive.
#[repr(C)]
pub(crate) struct RobustMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// The thread that holds it. Only that thread may free it: the C library keeps a list of a
    /// thread's mutexes in that thread's process.
    owner: AtomicU64,
}

impl RobustMutex {
    /// Prepares it, once, before anybody else sees it.
    pub(super) fn initialize(&self) -> io::Result<()> {
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        #[expect(unsafe_code, reason = "no library that is here has such a mutex")]
        // SAFETY: `attributes` is initialised by the first call before others read it, and the
        // memory of the mutex is nobody else's yet.
        let result = unsafe {
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PROCESS_SHARED,
            );
            libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            let result = libc::pthread_mutex_init(self.mutex.get(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
            result
        };
        match result {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Takes it, and waits for that for up to `timeout`. Returns whether this thread holds it now.
    pub(crate) fn lock(&self, timeout: Duration) -> bool {
        let until = SystemTime::now() + timeout;
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = libc::timespec {
            tv_sec: libc::time_t::try_from(until.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: i32::try_from(until.subsec_nanos()).map_or(0, libc::c_long::from),
        };
        #[expect(unsafe_code, reason = "no library that is here has such a mutex")]
        // SAFETY: `initialize` has prepared the mutex, which is never moved.
        let result = unsafe { libc::pthread_mutex_timedlock(self.mutex.get(), &raw const until) };
        self.is_taken(result)
    }

    /// Takes it if it is free. Returns whether this thread holds it now.
    pub(crate) fn try_lock(&self) -> bool {
        #[expect(unsafe_code, reason = "no library that is here has such a mutex")]
        // SAFETY: as for `lock`.
        let result = unsafe { libc::pthread_mutex_trylock(self.mutex.get()) };
        self.is_taken(result)
    }

    fn is_taken(&self, result: libc::c_int) -> bool {
        match result {
            0 => {}
            // What it protects is the application's: like uWSGI, nobody is told.
            libc::EOWNERDEAD => {
                #[expect(unsafe_code, reason = "no library that is here has such a mutex")]
                // SAFETY: as for `lock`; this thread has just got it.
                unsafe {
                    libc::pthread_mutex_consistent(self.mutex.get());
                }
            }
            _ => return false,
        }
        self.owner.store(this_thread(), Relaxed);
        true
    }

    /// Frees it. Without an effect in a thread that does not hold it.
    pub(crate) fn unlock(&self) {
        // Another thread's value is never this thread's, however late it is seen.
        if self.owner.load(Relaxed) != this_thread() {
            return;
        }
        self.owner.store(NOBODY, Relaxed);
        #[expect(unsafe_code, reason = "no library that is here has such a mutex")]
        // SAFETY: as for `lock`; this thread holds it.
        unsafe {
            libc::pthread_mutex_unlock(self.mutex.get());
        }
    }

    /// Whether a thread holds it.
    pub(crate) fn is_locked(&self) -> bool {
        let is_free = self.try_lock();
        if is_free {
            self.unlock();
        }
        !is_free
    }
}

#[expect(unsafe_code, reason = "no library that is here has such a mutex")]
// SAFETY: the cell is only given to the C library's functions for mutexes.
unsafe impl Sync for RobustMutex {}

impl fmt::Debug for RobustMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RobustMutex")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

const NOBODY: u64 = 0;

/// The process and the thread, so that no other process's thread has the same.
fn this_thread() -> u64 {
    let process = u64::from(std::process::id());
    let thread = rustix::thread::gettid().as_raw_pid();
    process << 32 | u64::try_from(thread).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::UwsgiMemory;
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn one_thread_at_a_time_holds_it() {
        let memory = UwsgiMemory::of_test();
        let mutex = memory.lock(0).unwrap();
        assert!(mutex.lock(SHORT));
        assert!(mutex.is_locked());
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(!mutex.try_lock());
                assert!(!mutex.lock(SHORT));
                // It is not this thread's to free.
                mutex.unlock();
            });
        });
        assert!(mutex.is_locked());
        assert!(!memory.lock(1).unwrap().is_locked());
        mutex.unlock();
        assert!(!mutex.is_locked());
        mutex.unlock();
        assert!(mutex.try_lock());
    }

    #[test]
    fn end_of_the_thread_that_holds_it_frees_it() {
        let memory = UwsgiMemory::of_test();
        let mutex = memory.lock(255).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| assert!(mutex.try_lock()));
        });
        for _ in 0..2 {
            assert!(mutex.lock(Duration::from_secs(60)));
            mutex.unlock();
        }
    }
}
