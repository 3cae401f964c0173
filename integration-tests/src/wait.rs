use std::thread;
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take on a busy machine.
///
/// Only a test that is about to fail ever waits this long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Lets `time` pass, for a test that is about time itself: nothing happens then that could be waited for.
///
/// Everything else waits with [`until`], or at a [`Gate`](crate::Gate).
pub fn elapse(time: Duration) {
    thread::sleep(time);
}

/// Asks `probe` again and again until it has an answer, and returns it.
///
/// # Panics
///
/// When there is none within [`DEADLINE`]; `what` says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within_deadline(probe).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// The same for whoever knows better what to say when there is no answer.
pub(crate) fn within_deadline<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if start.elapsed() >= DEADLINE {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
