//! How long to wait for the interpreter before it counts as unavailable.

use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Waits for the result of a thread that needs the GIL. `None` if it has not obtained it, in a time
/// in which a thread that executes Python would have released it hundreds of times.
///
/// # Errors
///
/// The thread has ended without a result, so it is not waiting for the GIL.
pub(crate) fn answer_of<T>(thread: &Receiver<T>) -> Result<Option<T>, RecvError> {
    let mut timeout = GilTimeout::among(1);
    loop {
        let begun = Instant::now();
        match thread.recv_timeout(STEP) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
            Err(RecvTimeoutError::Timeout) if timeout.is_over_after(begun.elapsed()) => {
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Measures the wait for the GIL in running time: while the process is stopped or its container
/// frozen, no thread could have released the GIL.
#[derive(Debug)]
pub(crate) struct GilTimeout {
    waited: Duration,
    timeout: Duration,
}

impl GilTimeout {
    /// For when so many threads may execute Python: each may be the next one to get the GIL.
    pub(crate) fn among(threads: usize) -> Self {
        let shares = u32::try_from(threads.div_ceil(THREADS)).unwrap_or(u32::MAX);
        Self {
            waited: Duration::ZERO,
            timeout: GIL_TIMEOUT.saturating_mul(shares.max(1)),
        }
    }

    /// Counts a step. During one that took too long, the process was not running.
    pub(crate) fn is_over_after(&mut self, step: Duration) -> bool {
        self.waited += step.min(STEP);
        self.waited >= self.timeout
    }
}

/// How long to wait for the interpreter. A thread that executes Python releases it every few
/// milliseconds.
const GIL_TIMEOUT: Duration = Duration::from_secs(1);

/// For so many threads at most. If any of them may be next each time, it is still a matter of some
/// ten million to one that none of 200 times was ours.
const THREADS: usize = 12;

/// The unit in which the wait is counted.
pub(crate) const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn time_in_which_the_process_was_stopped_does_not_count() {
        let hour = Duration::from_secs(3_600);
        for (steps, over) in [
            (vec![STEP; 19], false),
            (vec![STEP; 20], true),
            (vec![hour], false),
            ([vec![STEP; 10], vec![hour; 9]].concat(), false),
            ([vec![STEP; 10], vec![hour; 10]].concat(), true),
        ] {
            let mut timeout = GilTimeout::among(THREADS);
            let (last, first) = steps.split_last().unwrap();
            for step in first {
                assert!(!timeout.is_over_after(*step), "{steps:?}");
            }
            assert_eq!(timeout.is_over_after(*last), over, "{steps:?}");
        }
    }

    #[test]
    fn more_threads_have_more_time() {
        for (threads, steps) in [(0, 20), (1, 20), (12, 20), (13, 40), (120, 200)] {
            let mut timeout = GilTimeout::among(threads);
            let waited = (1..).find(|_| timeout.is_over_after(STEP));
            assert_eq!(waited, Some(steps), "{threads}");
        }
    }

    #[test]
    fn thread_that_ends_without_a_result_is_an_error() {
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        assert_eq!(answer_of(&receiver), Ok(Some(1)));
        drop(sender);
        assert_eq!(answer_of(&receiver), Err(RecvError));
        let (_sender, receiver) = channel::<()>();
        assert_eq!(answer_of(&receiver), Ok(None));
    }
}
