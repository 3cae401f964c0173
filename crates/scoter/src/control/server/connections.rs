//! The connections of the control socket, limited per user, so that a client that connects and
//! sends nothing keeps nobody else out.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::Uid;
use tokio::task::{AbortHandle, JoinSet};

/// Open connections, each served by a task.
#[derive(Debug, Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    /// In order of arrival.
    open: Vec<OpenConnection>,
}

/// Records that a connection has sent its request, so that it is no longer evicted.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestSeen(Arc<AtomicBool>);

#[derive(Debug)]
struct OpenConnection {
    /// `None` for all users who may not give orders: they share one limit.
    user: Option<Uid>,
    seen: RequestSeen,
    task: AbortHandle,
}

/// Whether there is room for a new connection.
#[derive(Debug, PartialEq, Eq)]
enum Capacity {
    Available,
    /// If this connection is closed, which has not sent its request yet.
    Evict(usize),
    Full,
}

impl Connections {
    /// Serves a connection of `user`. At the user's limit, the oldest connection without a
    /// request is evicted; if there is none, the new one is closed. Returns whether the user
    /// was below the limit.
    pub(super) fn add<F>(&mut self, user: Option<Uid>, serve: impl FnOnce(RequestSeen) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // A finished task that has not been joined yet does not count.
        self.open.retain(|open| !open.task.is_finished());
        let users = self.open.iter().map(|open| (open.user, open.seen.get()));
        let capacity = capacity(users, user);
        match capacity {
            Capacity::Available => {}
            Capacity::Evict(index) => self.open.remove(index).task.abort(),
            Capacity::Full => return false,
        }
        let seen = RequestSeen::default();
        let task = self.tasks.spawn(serve(seen.clone()));
        self.open.push(OpenConnection { user, seen, task });
        capacity == Capacity::Available
    }

    /// Waits until a connection ends; `None` if there is none.
    ///
    /// # Cancel safety
    ///
    /// No end is missed if it is dropped.
    pub(super) async fn ended(&mut self) -> Option<()> {
        let id = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.open.retain(|open| open.task.id() != id);
        Some(())
    }
}

impl RequestSeen {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Finds out whether there is room. Each open connection has its user, and whether it has sent a
/// request.
fn capacity(open: impl Iterator<Item = (Option<Uid>, bool)>, user: Option<Uid>) -> Capacity {
    let mut count = 0;
    let mut oldest = None;
    for (index, (other, seen)) in open.enumerate() {
        if other == user {
            count += 1;
            if !seen {
                oldest.get_or_insert(index);
            }
        }
    }
    match oldest {
        _ if count < MAX_PER_USER => Capacity::Available,
        Some(index) => Capacity::Evict(index),
        None => Capacity::Full,
    }
}

/// Connections that one user may have open. There are at most four users: root, two who may give
/// orders, and all others.
pub(super) const MAX_PER_USER: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_connections_are_evicted_for_those_of_the_same_user() {
        let uid = |number| Some(Uid::from_raw(number));
        let of = |user, seen, count| std::iter::repeat_n((user, seen), count);
        let all = MAX_PER_USER;
        for (case, open, user, expected) in [
            ("nobody", vec![], uid(0), Capacity::Available),
            (
                "room",
                of(uid(0), false, all - 1).collect(),
                uid(0),
                Capacity::Available,
            ),
            (
                "all silent",
                of(uid(0), false, all).collect(),
                uid(0),
                Capacity::Evict(0),
            ),
            (
                "some silent",
                of(uid(0), true, 3)
                    .chain(of(None, false, 2))
                    .chain(of(uid(0), false, all - 3))
                    .collect(),
                uid(0),
                Capacity::Evict(5),
            ),
            (
                "all have sent a request",
                of(uid(0), true, all).collect(),
                uid(0),
                Capacity::Full,
            ),
            (
                "others only",
                of(uid(33), false, all).chain(of(None, true, all)).collect(),
                uid(0),
                Capacity::Available,
            ),
            (
                "rejected users share",
                of(None, false, all).collect(),
                None,
                Capacity::Evict(0),
            ),
        ] {
            let open: Vec<_> = open;
            assert_eq!(capacity(open.into_iter(), user), expected, "{case}");
        }
    }
}
