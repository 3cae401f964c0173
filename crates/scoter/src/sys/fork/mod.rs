//! Forks that the application makes in a process of the server.
//!
//! A child has everything that its parent has except the threads, but is not the server. So
//! the previous signal dispositions are restored in it, the server's descriptors are closed,
//! and it ends like a child of any Python program if application code returns to the server.
//!
//! `os.register_at_fork()` covers only Python's own forks, pthread_atfork(3) also those of C
//! code. vfork(2) is not covered: a program executed there has no handlers and no descriptors
//! (CLOEXEC) of the server anyway.

mod descriptors;
mod dispositions;

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, PoisonError, RwLock, RwLockWriteGuard};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::sys::file_limit;

pub(crate) use descriptors::{Mark, Own, mark_new};
pub(crate) use dispositions::replace;

/// Watches the forks of this process, and of the workers that are forked from it.
///
/// # Errors
///
/// System errors, if no descriptors or memory are available.
pub(crate) fn watch() -> io::Result<()> {
    static WATCHING: Once = Once::new();
    descriptors::prepare()?;
    let mut failed = 0;
    WATCHING.call_once(|| {
        #[expect(unsafe_code, reason = "the standard library does not know of forks")]
        // SAFETY: the handlers are functions of a library that is never unloaded. The child's
        // does nothing that is not async-signal-safe.
        unsafe {
            failed = libc::pthread_atfork(Some(before), Some(after_in_parent), Some(in_child));
        }
    });
    match failed {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Runs `os_fork`, which must be `os.fork()`. Its child is a process of the server, but children
/// that the application's fork hooks create meanwhile are not.
pub(crate) fn of_our_own<R>(os_fork: impl FnOnce() -> R) -> R {
    NESTED.set(0);
    IS_OUR_OWN_WANTED.set(true);
    let result = os_fork();
    IS_OUR_OWN_WANTED.set(false);
    IS_OUR_OWN.set(false);
    result
}

/// Call it from the first hook that runs before a Python fork.
pub(crate) fn hooks_begin() {
    NESTED.set(NESTED.get() + 1);
}

/// Call it from the last hook that runs before a Python fork.
pub(crate) fn hooks_end() {
    IS_OUR_OWN.set(IS_OUR_OWN_WANTED.get() && NESTED.get() == 1);
}

/// Call it from the last hook that runs after the fork in the parent.
pub(crate) fn is_over() {
    NESTED.set(NESTED.get().saturating_sub(1));
}

/// Runs `work`, which must be short, while no other thread can fork: a child would keep a new
/// descriptor that has not been marked yet.
pub(crate) fn held_off<R>(work: impl FnOnce() -> R) -> R {
    let _held_off = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Whether this process is a child that the application has forked.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Locked by the forking thread.
static FORKS: RwLock<()> = RwLock::new(());

thread_local! {
    /// The lock, while this thread forks.
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };

    /// Whether this thread is about to fork a process of the server, and may still run hooks.
    static IS_OUR_OWN_WANTED: Cell<bool> = const { Cell::new(false) };

    /// Whether the next fork of this thread creates a process of the server.
    static IS_OUR_OWN: Cell<bool> = const { Cell::new(false) };

    /// Python forks in progress in this thread, because a hook of one may fork again.
    static NESTED: Cell<u32> = const { Cell::new(0) };

    /// The signals that the forking thread has blocked itself.
    static MASK: Cell<Option<SigSet>> = const { Cell::new(None) };
}

extern "C" fn before() {
    let lock = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    // At the end of a thread its thread-locals are gone, and the lock is not kept.
    let _ = FORKING.try_with(|forking| forking.replace(Some(lock)));
    // Blocked until the child has restored its dispositions: the server's handlers must not run
    // there, and no signal may be lost.
    MASK.set(SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok());
}

extern "C" fn after_in_parent() {
    unlock();
    take_our_own();
    restore_mask();
}

/// Other threads may have held any lock at the fork, so this must not allocate or wait
/// (signal-safety(7)).
extern "C" fn in_child() {
    unlock();
    if !take_our_own() {
        IS_CHILD.store(true, Ordering::Relaxed);
        dispositions::give_back();
        descriptors::release();
        // Last: numbers beyond the limit cannot be replaced.
        file_limit::give_back();
    }
    restore_mask();
}

/// Whether this fork has created a process of the server. Resets the flag.
fn take_our_own() -> bool {
    let is_our_own = IS_OUR_OWN.replace(false);
    if is_our_own {
        IS_OUR_OWN_WANTED.set(false);
    }
    is_our_own
}

fn unlock() {
    let _ = FORKING.try_with(RefCell::take);
}

fn restore_mask() {
    if let Some(mask) = MASK.take() {
        let _ = mask.thread_set_mask();
    }
}
