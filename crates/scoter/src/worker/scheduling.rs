//! How the kernel schedules a slot.

use pyo3::prelude::*;

/// Lets the thread that wakes this one finish what it does, where both share a core.
///
/// nginx connects, then writes, and goes on to its next client. An ordinary thread that waits
/// for the connection interrupts it in between, and finds nothing to read yet. One of
/// SCHED_BATCH does not (sched(7)), and finds all that nginx has sent in its turn. Threads and
/// processes that the application starts inherit it.
///
/// What an operator has chosen instead (`chrt`, systemd's `CPUSchedulingPolicy=`) is kept.
///
/// # Errors
///
/// That of sched_setscheduler(2), which a filter of system calls may refuse.
pub(super) fn let_the_waker_finish(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    // Zero is the calling thread.
    let current = os.call_method1("sched_getscheduler", (0,))?;
    if !current.eq(os.getattr("SCHED_OTHER")?)? {
        return Ok(());
    }
    let policy = os.getattr("SCHED_BATCH")?;
    let priority = os.call_method1("sched_param", (0,))?;
    os.call_method1("sched_setscheduler", (0, policy, priority))
        .map(drop)
}
