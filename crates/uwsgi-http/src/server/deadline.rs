use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A timer that costs nothing until something has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Deadline {
    /// Starts the time with the first call after [`stop`](Self::stop), and is ready when
    /// it is over.
    pub(super) fn poll(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| {
            self.is_running = true;
            Box::pin(sleep(time))
        });
        if !self.is_running {
            self.is_running = true;
            match Instant::now().checked_add(time) {
                Some(end) => sleep.as_mut().reset(end),
                None => *sleep = Box::pin(tokio::time::sleep(time)),
            }
        }
        sleep.as_mut().poll(cx)
    }

    /// Stops the time: what was waited for has come.
    pub(super) fn stop(&mut self) {
        self.is_running = false;
    }
}
