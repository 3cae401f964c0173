//! How the kernel schedules a thread (sched(7)), and on how many CPUs.

use std::io;
use std::thread::available_parallelism;

use nix::libc;

/// The number of CPUs that this process may use, by the affinity mask and the quotas of both kinds
/// of cgroups.
pub(crate) fn cpus() -> u32 {
    available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
}

/// The policy of the calling thread.
pub(crate) fn policy() -> libc::c_int {
    #[expect(unsafe_code, reason = "no library that is here has this call")]
    // SAFETY: takes no pointer; zero is the calling thread.
    unsafe {
        libc::sched_getscheduler(0)
    }
}

/// Changes the policy of the calling thread, but not its niceness.
pub(crate) fn set_policy(policy: libc::c_int) -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    #[expect(unsafe_code, reason = "no library that is here has this call")]
    // SAFETY: `priority` is valid for reading; zero is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const priority) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
