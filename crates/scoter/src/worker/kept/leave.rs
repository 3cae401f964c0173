//! The end of a worker, as its kept connections see it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::kept::KeptConnections;
use crate::worker::stop::Ending;

/// Waits for the end of the worker, and has its idle connections leave.
///
/// A worker that retires leaves them to the others. At a stop there are none: each is closed,
/// or serves the request that has just come, as its last one.
pub(crate) async fn leave_at_the_end(shared: Arc<Shared>) {
    shared.stop.begun().await;
    let kept = &shared.kept;
    let ending = shared.stop.ending().unwrap_or(Ending::Drain);
    let mut idle = kept.begin_to_leave(ending);
    if ending == Ending::Retire {
        let begun = Instant::now();
        loop {
            let passed = |connection| kept.pass_on(connection).err();
            idle = idle.into_iter().filter_map(passed).collect();
            if idle.is_empty() || kept.queue().is_none() || begun.elapsed() >= PASSING_TIMEOUT {
                break;
            }
            // The others are about to make room.
            tokio::time::sleep(PASSING_PAUSE).await;
        }
    }
    for connection in idle {
        if let Some(readable) = connection.close_unless_readable() {
            shared.receive_in_reactor(readable);
        }
    }
    kept.has_left.store(true, Release);
    shared.report_not_accepting();
}

impl KeptConnections {
    /// Keeps no connection from now on, and takes those that are idle.
    fn begin_to_leave(&self, ending: Ending) -> Vec<Arc<Connection>> {
        self.lock().leaving = Some(ending);
        self.take_idle(|_| true)
    }
}

/// How long a worker tries to leave its connections to the others, and how often.
const PASSING_TIMEOUT: Duration = Duration::from_secs(1);
const PASSING_PAUSE: Duration = Duration::from_millis(1);
