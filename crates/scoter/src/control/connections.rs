//! The connections of the control socket, and how many each user may have: whoever connects
//! and says nothing keeps nobody else out.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::Uid;
use tokio::task::{AbortHandle, JoinSet};

/// Connections that are served, each by a task.
#[derive(Debug, Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    /// In the order in which they came.
    open: Vec<Open>,
}

/// Notes that a connection has asked something. It is then not cut for others any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

#[derive(Debug)]
struct Open {
    /// `None` for all who may not give orders: they share.
    user: Option<Uid>,
    asked: Asked,
    task: AbortHandle,
}

/// What becomes of a new connection.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Free,
    /// There is none, but this one has not asked anything yet.
    InsteadOf(usize),
    /// There is none.
    None,
}

impl Connections {
    /// Serves a connection of `user`. Where that has too many already, the oldest that has
    /// asked nothing is cut for it; where all have, it is closed. Says whether there was room.
    pub(super) fn add<F>(&mut self, user: Option<Uid>, serve: impl FnOnce(Asked) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // One that has ended may not have been waited for yet: its place is free all the same.
        self.open.retain(|open| !open.task.is_finished());
        let users = self.open.iter().map(|open| (open.user, open.asked.get()));
        let place = place(users, user);
        match place {
            Place::Free => {}
            Place::InsteadOf(index) => self.open.remove(index).task.abort(),
            Place::None => return false,
        }
        let asked = Asked::default();
        let task = self.tasks.spawn(serve(asked.clone()));
        self.open.push(Open { user, asked, task });
        place == Place::Free
    }

    /// Waits for the end of one; `None` where there is none.
    ///
    /// # Cancel safety
    ///
    /// None is missed.
    pub(super) async fn ended(&mut self) -> Option<()> {
        let id = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.open.retain(|open| open.task.id() != id);
        Some(())
    }
}

impl Asked {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Finds a place among connections, of whom it is known whether they have asked, for one more.
fn place(open: impl Iterator<Item = (Option<Uid>, bool)>, user: Option<Uid>) -> Place {
    let mut count = 0;
    let mut oldest = None;
    for (index, (other, asked)) in open.enumerate() {
        if other == user {
            count += 1;
            if !asked {
                oldest.get_or_insert(index);
            }
        }
    }
    match oldest {
        _ if count < MOST_OF_A_USER => Place::Free,
        Some(index) => Place::InsteadOf(index),
        None => Place::None,
    }
}

/// Connections of one user at a time. There are four users at most: root, two who may give
/// orders, and everybody else.
pub(super) const MOST_OF_A_USER: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_connections_make_way_for_those_of_the_same_user() {
        let uid = |number| Some(Uid::from_raw(number));
        let of = |user, asked, count| std::iter::repeat_n((user, asked), count);
        let all = MOST_OF_A_USER;
        for (case, open, user, expected) in [
            ("nobody", vec![], uid(0), Place::Free),
            (
                "room",
                of(uid(0), false, all - 1).collect(),
                uid(0),
                Place::Free,
            ),
            (
                "all silent",
                of(uid(0), false, all).collect(),
                uid(0),
                Place::InsteadOf(0),
            ),
            (
                "some silent",
                of(uid(0), true, 3)
                    .chain(of(None, false, 2))
                    .chain(of(uid(0), false, all - 3))
                    .collect(),
                uid(0),
                Place::InsteadOf(5),
            ),
            (
                "all asked",
                of(uid(0), true, all).collect(),
                uid(0),
                Place::None,
            ),
            (
                "others only",
                of(uid(33), false, all).chain(of(None, true, all)).collect(),
                uid(0),
                Place::Free,
            ),
            (
                "strangers share",
                of(None, false, all).collect(),
                None,
                Place::InsteadOf(0),
            ),
        ] {
            let open: Vec<_> = open;
            assert_eq!(place(open.into_iter(), user), expected, "{case}");
        }
    }
}
