//! Which sockets are asked whether they are a server's.

use std::path::PathBuf;

use nix::unistd::Uid;

/// A socket that may be a server's control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) owner: Uid,
}

/// The candidates that are asked, in this order, and how many are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) asked: Vec<PathBuf>,
    /// Sockets of users that the caller does not trust.
    pub(super) of_others: usize,
}

/// Selects the sockets of the user `me` and of root, in this order. Root asks everybody's, last of
/// all those of other users, so that nobody can crowd out root's own.
pub(super) fn select(mut candidates: Vec<Candidate>, me: Uid) -> Selection {
    let all = candidates.len();
    candidates.retain(|candidate| is_trusted(candidate.owner, me));
    let of_others = all - candidates.len();
    candidates.sort_by_key(|candidate| (candidate.owner != me, !candidate.owner.is_root()));
    Selection {
        asked: candidates
            .into_iter()
            .map(|candidate| candidate.path)
            .collect(),
        of_others,
    }
}

/// Whether what a process of `user` says may be shown to `me` as the answer of a server. Root is
/// shown everybody's, with the user's name.
pub(super) fn is_trusted(user: Uid, me: Uid) -> bool {
    me.is_root() || user.is_root() || user == me
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(path: &str, owner: u32) -> Candidate {
        Candidate {
            path: path.into(),
            owner: Uid::from_raw(owner),
        }
    }

    #[test]
    fn own_sockets_come_first_and_those_of_other_users_are_left_alone() {
        let candidates = ["/other", "/root", "/own"].map(PathBuf::from);
        let [other, root, own] = &candidates;
        let owners = [33, 0, 1_000].map(Uid::from_raw);
        let all: Vec<_> = candidates
            .iter()
            .zip(owners)
            .map(|(path, owner)| Candidate {
                path: path.clone(),
                owner,
            })
            .collect();
        for (me, asked, of_others) in [
            (1_000, vec![own, root], 1),
            (33, vec![other, root], 1),
            (0, vec![root, other, own], 0),
            (7, vec![root], 2),
        ] {
            let selection = select(all.clone(), Uid::from_raw(me));
            let found: Vec<_> = selection.asked.iter().collect();
            assert_eq!((found, selection.of_others), (asked, of_others), "{me}");
        }
    }

    #[test]
    fn others_cannot_crowd_out_roots_own() {
        let crowd = (0..1_000).map(|number| candidate(&format!("/a{number}"), 1_000));
        let all = crowd.chain([candidate("/z", 0)]).collect();
        let selection = select(all, Uid::from_raw(0));
        assert_eq!(selection.asked.len(), 1_001);
        assert_eq!(selection.asked[0], PathBuf::from("/z"));
    }
}
