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
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}
