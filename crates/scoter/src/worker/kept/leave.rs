//! What happens to kept connections when the worker ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::kept::KeptConnections;
use crate::worker::request::partial_request::PartialRequest;
use crate::worker::stop::Ending;

/// Waits for the end of the worker, and gives up its idle connections.
///
/// A worker that retires passes them on to the others. A stop closes them. A request that has just
/// begun to arrive is still served, as the last one on its connection.
pub(crate) async fn leave_at_the_end(shared: Arc<Shared>) {
    shared.stop.begun().await;
    let kept = &shared.kept;
    let ending = shared.stop.ending().unwrap_or(Ending::Drain);
    let mut left = VecDeque::from(kept.begin_to_leave(ending));
    let mut requests = JoinSet::new();
    let begun = Instant::now();
    loop {
        let passes = ending == Ending::Retire && kept.can_pass_on();
        if passes {
            kept.pass_all_on(&mut left);
        }
        if !kept.has_left() && (!passes || left.is_empty() || begun.elapsed() >= PASSING_TIMEOUT) {
            left = match passes {
                true => kept.leave_idle_unplaced(left),
                false => close_unless_readable(left),
            };
            kept.has_left.store(true, Release);
            shared.report_not_accepting();
        }
        if left.is_empty() {
            break;
        }
        // The queue is full. As long as others may take a request, it does not wait for a busy slot
        // of this worker.
        let most = match passes {
            true => shared.idle_slots(),
            false => usize::MAX,
        };
        for (connection, permit) in take_readable(&shared, &mut left, most) {
            requests.spawn(serve(Arc::clone(&shared), connection, permit));
        }
        tokio::time::sleep(PAUSE).await;
    }
    while requests.join_next().await.is_some() {}
}

fn close_unless_readable(connections: VecDeque<Arc<Connection>>) -> VecDeque<Arc<Connection>> {
    let connections = connections.into_iter();
    let readable = connections.filter_map(Connection::close_unless_readable);
    readable.collect()
}

/// Takes connections on which a request has begun to arrive, at most `most`, as far as there is
/// room for their requests. Drops those whose descriptor application code has closed: nothing
/// arrives on them any more.
fn take_readable(
    shared: &Shared,
    connections: &mut VecDeque<Arc<Connection>>,
    most: usize,
) -> Vec<(Arc<Connection>, OwnedSemaphorePermit)> {
    let mut taken = Vec::new();
    for connection in std::mem::take(connections) {
        let is_wanted = taken.len() < most && connection.has_input();
        match is_wanted.then(|| shared.reactor.request_permit()).flatten() {
            Some(permit) => taken.push((connection, permit)),
            None if connection.is_lost() => {}
            None => connections.push_back(connection),
        }
    }
    taken
}

/// Serves the last request of a connection.
async fn serve(shared: Arc<Shared>, connection: Arc<Connection>, permit: OwnedSemaphorePermit) {
    let next = PartialRequest::next(connection);
    if let Some((refused, permit)) = next.complete(&shared, permit).await {
        refused.finish(shared, permit).await;
    }
}

impl KeptConnections {
    /// Keeps no more connections, and takes those that are idle.
    fn begin_to_leave(&self, ending: Ending) -> Vec<Arc<Connection>> {
        self.lock().leaving = Some(ending);
        self.take_idle(|_, _| true)
    }

    /// Leaves connections on which nothing has arrived to the reactor. Returns the others.
    fn leave_idle_unplaced(
        &self,
        connections: VecDeque<Arc<Connection>>,
    ) -> VecDeque<Arc<Connection>> {
        let connections = connections.into_iter();
        let (readable, idle): (VecDeque<_>, VecDeque<_>) =
            connections.partition(|connection| connection.has_input());
        self.unplaced.add(idle);
        readable
    }

    /// Passes connections on until the queue is full.
    fn pass_all_on(&self, connections: &mut VecDeque<Arc<Connection>>) {
        while let Some(connection) = connections.pop_front() {
            if let Err(connection) = self.pass_on(connection) {
                // Behind the others, in case that it is the reason.
                return connections.push_back(connection);
            }
        }
    }
}

/// For how long the end of a reload waits for room in the queue.
const PASSING_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it tries.
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::net::Family;
    use crate::sys::raw_fd;

    #[tokio::test]
    async fn connection_whose_descriptor_the_application_has_closed_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &[]);
        let connection = || {
            let (ours, client) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let timeouts = shared.connection_timeouts;
            let ours = Connection::new(OwnedFd::from(ours), Family::Unix, timeouts);
            (Arc::new(ours), client)
        };
        let ((idle, _peer), (lost, _lost_peer)) = (connection(), connection());
        // As if the application had closed the number, and the kernel given it to a file of the
        // application's.
        let mut number_taken = raw_fd::own(lost.as_raw_fd()).unwrap();
        let file = tempfile::tempfile().unwrap();
        rustix::io::dup2(&file, &mut number_taken).unwrap();
        std::mem::forget(number_taken);
        let mut left = VecDeque::from([lost, idle]);
        assert_eq!(take_readable(&shared, &mut left, usize::MAX).len(), 0);
        assert_eq!(left.len(), 1, "one may still have a request");
    }
}
