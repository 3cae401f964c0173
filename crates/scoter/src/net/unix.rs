//! Unix sockets: stale files are replaced, live ones are not, and permissions are set before
//! anyone can connect.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getgroups};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind, listen};

use super::bind_lock::{BindLock, LOCK_TIMEOUT, Unlocked};
use super::creator::{Creator, ModeOfFiles};
use super::folder::Folder;
use super::reason::reason;
use super::socket_file::{OpenFile, SocketFile, stream_socket};
use super::stale_socket::remove_stale;
use super::unix_error::{UnixError, bind_error, other};

/// Who may connect to a Unix socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permissions {
    mode: u32,
    owner: Option<Uid>,
    group: Option<Gid>,
}

impl Permissions {
    /// Looks up the names of `--socket-owner` and `--socket-group`.
    ///
    /// # Errors
    ///
    /// [`UnixError::UnknownUser`] and [`UnixError::UnknownGroup`] if a name does not exist.
    pub(crate) fn new(
        mode: u32,
        owner: Option<&str>,
        group: Option<&str>,
    ) -> Result<Self, UnixError> {
        Ok(Self {
            mode,
            owner: owner.map(user_id).transpose()?,
            group: group.map(group_id).transpose()?,
        })
    }

    /// Admits only `owner`, by default the user of this process, and root.
    pub(crate) fn private(owner: Option<Uid>) -> Self {
        Self {
            mode: 0o600,
            owner,
            group: None,
        }
    }
}

impl Permissions {
    /// Sets the owner and group that are used unless the options give them.
    pub(crate) fn or_owned_by(self, owner: Option<Uid>, group: Option<Gid>) -> Self {
        Self {
            owner: self.owner.or(owner),
            group: self.group.or(group),
            ..self
        }
    }
}

/// Binds a socket to `path`, replacing a stale one, and starts listening.
///
/// The file has its mode, owner and group from the moment it exists. Nothing is changed by its
/// path, which could lead anywhere by then if another user may write to the directory.
///
/// # Errors
///
/// [`UnixError`] says what the obstacle is and what to do about it.
pub(crate) fn bind_path(
    path: &Path,
    permissions: &Permissions,
    backlog: i32,
) -> Result<(OwnedFd, SocketFile), UnixError> {
    // The process (--chdir) or the application may change its working directory later.
    let path = std::path::absolute(path).map_err(|error| other(path, error))?;
    let folder = Folder::of(&path).map_err(|errno| bind_error(&path, errno))?;
    let _lock = match BindLock::take(&folder, LOCK_TIMEOUT) {
        Ok(lock) => Some(lock),
        Err(Unlocked::Impossible) => None,
        Err(Unlocked::Held(lock)) => return Err(UnixError::Locked { path, lock }),
    };
    remove_stale(&folder)?;

    let address = SocketAddrUnix::new(&path).map_err(|errno| other(&path, reason(errno)))?;
    let fd = stream_socket().map_err(|errno| other(&path, reason(errno)))?;
    let file = create(&fd, &address, &folder, permissions)?;
    listen(&fd, backlog).map_err(|errno| {
        let _ = file.unlink_in(&folder);
        other(&path, reason(errno))
    })?;
    Ok((fd, file))
}

/// Checks whether [`bind_path`] would succeed, and changes nothing. A running server at the path is
/// not an error.
///
/// # Errors
///
/// As [`bind_path`].
pub(crate) fn check_path(path: &Path, permissions: &Permissions) -> Result<(), UnixError> {
    let path = std::path::absolute(path).map_err(|error| other(path, error))?;
    let folder = Folder::of(&path).map_err(|errno| bind_error(&path, errno))?;
    SocketAddrUnix::new(&path).map_err(|errno| other(&path, reason(errno)))?;
    let found = folder.look().map_err(|errno| bind_error(&path, errno))?;
    if found.is_some_and(|found| !FileType::from_raw_mode(found.st_mode).is_socket()) {
        return Err(UnixError::NotASocket { path });
    }
    folder
        .require_writable()
        .map_err(|errno| bind_error(&path, errno))?;
    let is_ours = |owner: Uid| owner == Uid::effective();
    let is_member = |group: Gid| {
        let groups = getgroups().unwrap_or_default();
        group == Gid::effective() || groups.contains(&group)
    };
    if Uid::effective().is_root() {
        return Ok(());
    }
    match (permissions.owner, permissions.group) {
        (Some(owner), _) if !is_ours(owner) => Err(not_owner(&path, owner)),
        (_, Some(group)) if !is_member(group) => Err(not_member(&path, group)),
        _ => Ok(()),
    }
}

pub(super) fn bind_abstract(name: &str, backlog: i32) -> Result<OwnedFd, UnixError> {
    let bound = || {
        let fd = stream_socket()?;
        bind(&fd, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        listen(&fd, backlog)?;
        Ok(fd)
    };
    bound().map_err(|errno| match errno {
        Errno::ADDRINUSE => UnixError::InUse {
            address: format!("unix:@{name}"),
        },
        errno => UnixError::Io {
            address: format!("unix:@{name}"),
            error: reason(errno),
        },
    })
}

/// Binds `fd`, which creates its file. No client can connect before listen().
fn create(
    fd: &OwnedFd,
    address: &SocketAddrUnix,
    folder: &Folder,
    permissions: &Permissions,
) -> Result<SocketFile, UnixError> {
    let path = folder.path();
    let _creator = Creator::assume(permissions.owner, permissions.group);
    if let Some(owner) = permissions.owner.filter(|uid| *uid != Creator::uid()) {
        return Err(not_owner(path, owner));
    }
    {
        let _mode = ModeOfFiles::set(permissions.mode);
        bind(fd, address).map_err(|errno| bind_error(path, errno))?;
    }
    let exchanged = || UnixError::Exchanged {
        path: path.to_owned(),
    };
    let mut made = OpenFile::at(path).map_err(|_| exchanged())?;
    if !made.is_socket() || made.stat.st_uid != Creator::uid().as_raw() {
        return Err(exchanged());
    }
    let completed = complete(&mut made, permissions, path);
    let file = SocketFile::new(path.to_owned(), &made);
    completed.inspect_err(|_| {
        let _ = file.unlink_in(folder);
    })?;
    Ok(file)
}

/// Corrects what the directory has overridden: it may impose a group (S_ISGID) or a mode (acl(5))
/// on new files.
fn complete(made: &mut OpenFile, permissions: &Permissions, path: &Path) -> Result<(), UnixError> {
    if made.stat.st_mode & 0o777 != permissions.mode {
        let set = made.set_mode(permissions.mode);
        set.map_err(|error| other(path, error))?;
    }
    match permissions.group {
        Some(gid) if made.stat.st_gid != gid.as_raw() => {
            made.set_group(gid).map_err(|errno| match errno {
                Errno::PERM => not_member(path, gid),
                errno => other(path, reason(errno)),
            })
        }
        _ => Ok(()),
    }
}

fn not_owner(path: &Path, owner: Uid) -> UnixError {
    UnixError::Owner {
        path: path.to_owned(),
        owner: user_name(owner),
    }
}

fn not_member(path: &Path, gid: Gid) -> UnixError {
    let group = Group::from_gid(gid).ok().flatten();
    UnixError::Group {
        path: path.to_owned(),
        group: group.map_or_else(|| gid.to_string(), |group| group.name),
        user: user_name(Uid::effective()),
    }
}

fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn user_id(name: &str) -> Result<Uid, UnixError> {
    if let Ok(number) = name.parse() {
        return Ok(Uid::from_raw(number));
    }
    let user = User::from_name(name).ok().flatten();
    user.map(|user| user.uid)
        .ok_or_else(|| UnixError::UnknownUser {
            name: name.to_owned(),
        })
}

fn group_id(name: &str) -> Result<Gid, UnixError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let group = Group::from_name(name).ok().flatten();
    group
        .map(|group| group.gid)
        .ok_or_else(|| UnixError::UnknownGroup {
            name: name.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn permissions(mode: u32, owner: Option<u32>, group: Option<u32>) -> Permissions {
        Permissions {
            mode,
            owner: owner.map(Uid::from_raw),
            group: group.map(Gid::from_raw),
        }
    }

    #[test]
    fn mode_owner_and_group_are_as_wanted_in_any_directory() {
        if !Uid::effective().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        // Owned by root, by the owner, by another user; imposing a group on new files.
        for (uid, gid, folder_mode) in [
            (0, 0, 0o755),
            (1_234, 1_234, 0o700),
            (4_321, 4_321, 0o700),
            (0, 4_321, 0o2_770),
            (0, 0, 0o1_777),
        ] {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(folder_mode)).unwrap();
            for (mode, owner, group) in [
                (0o600, None, None),
                (0o660, Some(1_234), Some(5_678)),
                (0o666, Some(1_234), None),
                (0o777, None, Some(5_678)),
            ] {
                let case = format!("{uid} {gid} {folder_mode:o} {mode:o} {owner:?} {group:?}");
                let path = folder.join("s");
                let wanted = permissions(mode, owner, group);
                let (_fd, file) = bind_path(&path, &wanted, 1).unwrap();
                let made = fs::symlink_metadata(&path).unwrap();
                assert_eq!(made.mode() & 0o7777, mode, "{case}");
                assert_eq!(made.uid(), owner.unwrap_or(0), "{case}");
                let inherited = if folder_mode & 0o2_000 == 0 { 0 } else { gid };
                assert_eq!(made.gid(), group.unwrap_or(inherited), "{case}");
                UnixStream::connect(&path).unwrap();
                file.unlink().unwrap();
                assert_eq!(folder.read_dir().unwrap().count(), 0, "{case}");
                assert!(Creator::uid().is_root());
            }
        }
    }
}
