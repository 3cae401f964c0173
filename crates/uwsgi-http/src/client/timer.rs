use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::error::{ClientError, Wait};

/// The limit of the wait that is under way, if one is.
#[derive(Debug, Default)]
pub(super) struct Timer {
    // Kept when its wait ends: setting it again is cheaper than a new one.
    sleep: Option<Pin<Box<Sleep>>>,
    wait: Option<Wait>,
}

impl Timer {
    /// Ends the wait.
    pub(super) fn stop(&mut self) {
        self.wait = None;
    }

    /// Waits on, or begins to wait if it is for something else. Returns the error when
    /// the time is over; until then the task is woken then.
    pub(super) fn poll(
        &mut self,
        wait: Wait,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<ClientError> {
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            match (&mut self.sleep, Instant::now().checked_add(limit)) {
                (Some(sleep), Some(end)) => sleep.as_mut().reset(end),
                // `sleep` knows what to do with a limit that no clock can reach.
                (none, _) => *none = Some(Box::pin(sleep(limit))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep
                .as_mut()
                .poll(cx)
                .map(|()| ClientError::Timeout { wait, limit }),
            None => Poll::Pending,
        }
    }
}
