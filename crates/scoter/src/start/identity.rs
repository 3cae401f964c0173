//! `--user` and `--group`: drops root's privileges permanently.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread;

use nix::unistd::{
    Gid, Group, Uid, User, getgrouplist, getgroups, getresgid, getresuid, initgroups, setgroups,
    setresgid, setresuid, setuid,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use thiserror::Error;
use tracing::warn;

use crate::config::Options;

/// Environment variables to be set.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// The user and group that the server switches to once its sockets are bound.
#[derive(Debug)]
pub(super) struct Identity {
    user: Option<NewUser>,
    group: Option<Gid>,
}

/// The user that the server switches to.
#[derive(Debug)]
struct NewUser {
    uid: Uid,
    /// The number if the user database has no name.
    name: CString,
    home: PathBuf,
}

/// Why the server could not switch users.
#[derive(Debug, Error)]
pub(crate) enum IdentityError {
    /// No such user.
    #[error("--user {name}: there is no such user")]
    NoUser { name: String },
    /// No such group.
    #[error("--group {name}: there is no such group")]
    NoGroup { name: String },
    /// The process is not root.
    #[error("--user and --group need root: start scoter as root, or as that user without them")]
    NotRoot,
    /// A number without an entry in the user database has no groups.
    #[error("--user {uid} is not in the user database: set its group with --group")]
    GroupUnknown { uid: Uid },
    /// The system refused the change.
    #[error("cannot become --user and --group: {0}")]
    Refused(io::Error),
    /// The system accepted the change, but root's privileges remain.
    #[error("privileges were not dropped permanently: {what}")]
    Kept { what: &'static str },
}

impl Identity {
    /// Looks up the names while that is still possible.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if a name does not exist, or the process is not root.
    pub(super) fn of(options: &Options) -> Result<Self, IdentityError> {
        let identity = Self::look_up(options)?;
        let (user, group) = identity.owner();
        let is_already = user.is_none_or(|uid| uid == Uid::effective())
            && group.is_none_or(|gid| gid == Gid::effective());
        if !is_already && !Uid::effective().is_root() {
            return Err(IdentityError::NotRoot);
        }
        Ok(identity)
    }

    /// Like [`Identity::of`], without requiring root.
    pub(super) fn look_up(options: &Options) -> Result<Self, IdentityError> {
        let user = options.user.as_deref().map(find_user).transpose()?;
        let group = options.group.as_deref().map(find_group).transpose()?;
        let group = match (&user, group) {
            (_, Some(group)) => Some(group),
            (Some((uid, None)), None) => return Err(IdentityError::GroupUnknown { uid: *uid }),
            (Some((_, Some(user))), None) => Some(user.gid),
            (None, None) => None,
        };
        let user = user.map(|(uid, entry)| {
            let (name, home) = match entry {
                Some(entry) => (entry.name, entry.dir),
                None => (uid.to_string(), PathBuf::from("/")),
            };
            let name = CString::new(name).unwrap_or_default();
            NewUser { uid, name, home }
        });
        Ok(Self { user, group })
    }

    /// The user and group that files of the server should belong to.
    pub(super) fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (self.user.as_ref().map(|user| user.uid), self.group)
    }

    /// Its name, or number.
    pub(super) fn user_name(&self) -> String {
        match &self.user {
            Some(user) => user.name.to_string_lossy().into_owned(),
            None => {
                let uid = Uid::effective();
                let user = User::from_uid(uid).ok().flatten();
                user.map_or_else(|| uid.to_string(), |user| user.name)
            }
        }
    }

    /// Runs `work` with the server's future privileges, in a separate thread.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Refused`] if the system does not allow it.
    pub(super) fn attempt<T: Send>(
        &self,
        attempt: impl FnOnce() -> T + Send,
    ) -> Result<T, IdentityError> {
        thread::scope(|scope| {
            let attempt = || {
                self.assume_in_thread()?;
                Ok(attempt())
            };
            let thread = thread::Builder::new().spawn_scoped(scope, attempt);
            let thread = thread.map_err(|error| {
                let text = format!("cannot start a thread to try it in: {error}");
                io::Error::new(error.kind(), text)
            })?;
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .map_err(IdentityError::Refused)
    }

    /// Switches only this thread: credentials(7), "at the kernel level, user and group IDs are a
    /// per-thread attribute".
    fn assume_in_thread(&self) -> io::Result<()> {
        if !Uid::effective().is_root() {
            return Ok(());
        }
        if let Some(gid) = self.group {
            let groups = match &self.user {
                Some(user) if !user.name.is_empty() => getgrouplist(&user.name, gid)?,
                _ => vec![gid],
            };
            let raw = |gid: Gid| rustix::process::Gid::from_raw(gid.as_raw());
            set_thread_groups(&groups.into_iter().map(raw).collect::<Vec<_>>())?;
            set_thread_res_gid(raw(gid), raw(gid), raw(gid))?;
        }
        if let Some(user) = &self.user {
            let raw = rustix::process::Uid::from_raw(user.uid.as_raw());
            set_thread_res_uid(raw, raw, raw)?;
        }
        Ok(())
    }

    /// Switches permanently. Returns the environment variables of the user.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if any step failed or had no effect.
    pub(super) fn assume(&self) -> Result<Variables, IdentityError> {
        let refused = |errno: nix::Error| IdentityError::Refused(errno.into());
        if !Uid::effective().is_root() {
            return Ok(Variables::new());
        }
        if let Some(gid) = self.group {
            match &self.user {
                Some(user) if !user.name.is_empty() => {
                    initgroups(&user.name, gid).map_err(refused)?;
                }
                _ => setgroups(&[gid]).map_err(refused)?,
            }
            setresgid(gid, gid, gid).map_err(refused)?;
        }
        let Some(user) = &self.user else {
            return Ok(Variables::new());
        };
        let uid = user.uid;
        setresuid(uid, uid, uid).map_err(refused)?;
        verify(uid, self.group)?;
        Ok(user.environment())
    }
}

/// Warns about a server for production that keeps the rights of root.
pub(crate) fn warn_of_root(options: &Options) {
    if Uid::effective().is_root() && options.user.is_none() {
        warn!(
            "running as root: whoever breaks into the application is root too (--user NAME drops \
             privileges once the sockets are bound)"
        );
    }
}

impl NewUser {
    /// The variables that login(1) sets, and systemd for `User=`. Libraries use them to find their
    /// files and caches, and could not read root's.
    fn environment(&self) -> Variables {
        let name = OsStr::from_bytes(self.name.as_bytes());
        vec![
            ("HOME", self.home.clone().into_os_string()),
            ("USER", name.to_owned()),
            ("LOGNAME", name.to_owned()),
        ]
    }
}

/// Verifies that all IDs have changed, and cannot be changed back.
fn verify(uid: Uid, gid: Option<Gid>) -> Result<(), IdentityError> {
    let refused = |errno: nix::Error| IdentityError::Refused(errno.into());
    let kept = |what| Err(IdentityError::Kept { what });
    let ids = getresuid().map_err(refused)?;
    if [ids.real, ids.effective, ids.saved] != [uid; 3] {
        return kept("a user ID is still the old one");
    }
    if let Some(gid) = gid {
        let ids = getresgid().map_err(refused)?;
        if [ids.real, ids.effective, ids.saved] != [gid; 3] {
            return kept("a group ID is still the old one");
        }
        let root = Gid::from_raw(0);
        if gid != root && getgroups().map_err(refused)?.contains(&root) {
            return kept("root's group is still among the supplementary groups");
        }
    }
    if !uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return kept("it can still become root");
    }
    Ok(())
}

fn find_user(name: &str) -> Result<(Uid, Option<User>), IdentityError> {
    let missing = || IdentityError::NoUser {
        name: name.to_owned(),
    };
    if let Ok(number) = name.parse() {
        let uid = Uid::from_raw(number);
        return Ok((uid, User::from_uid(uid).ok().flatten()));
    }
    let user = User::from_name(name).ok().flatten().ok_or_else(missing)?;
    Ok((user.uid, Some(user)))
}

fn find_group(name: &str) -> Result<Gid, IdentityError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let group = Group::from_name(name).ok().flatten();
    group
        .map(|group| group.gid)
        .ok_or_else(|| IdentityError::NoGroup {
            name: name.to_owned(),
        })
}
