//! Unix sockets: stale files replaced, live ones respected, permissions set before anyone
//! can connect.

use std::fs::{self, File, Metadata, Permissions as Mode};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Group, Uid, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use serde::{Deserialize, Serialize};

use super::reason;

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
    /// [`UnixError::UnknownUser`] and [`UnixError::UnknownGroup`] where there is no such name.
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

    /// Admits nobody but `owner`, by default the user of this process, and root.
    pub(crate) fn private(owner: Option<Uid>) -> Self {
        Self {
            mode: 0o600,
            owner,
            group: None,
        }
    }
}

impl Permissions {
    /// The same, but owned by these where nobody was named.
    pub(crate) fn or_owned_by(self, owner: Option<Uid>, group: Option<Gid>) -> Self {
        Self {
            owner: self.owner.or(owner),
            group: self.group.or(group),
            ..self
        }
    }
}

/// Why a Unix socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnixError {
    /// No such user.
    #[error("--socket-owner {name}: there is no such user")]
    UnknownUser {
        /// The name as given.
        name: String,
    },
    /// No such group.
    #[error("--socket-group {name}: there is no such group")]
    UnknownGroup {
        /// The name as given.
        name: String,
    },
    /// Somebody answers there.
    #[error(
        "cannot listen on {address}: a running server answers there\nhint: stop it first, or \
         choose another path"
    )]
    InUse {
        /// The socket.
        address: String,
    },
    /// The path belongs to a file of another kind.
    #[error(
        "cannot listen on unix:{}: the file exists and is no socket\nhint: remove it or choose \
         another path", path.display()
    )]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// There is no such directory.
    #[error(
        "cannot listen on unix:{}: its directory does not exist\nhint: create it, or let systemd \
         do so with RuntimeDirectory=", path.display()
    )]
    NoDirectory {
        /// The socket.
        path: PathBuf,
    },
    /// The directory may not be written, or the owner not be given away.
    #[error(
        "cannot {action} unix:{}: permission denied\nhint: {hint}", path.display()
    )]
    Denied {
        /// What was tried.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// What would help.
        hint: &'static str,
    },
    /// Another process keeps the directory locked.
    #[error(
        "cannot listen on unix:{}: another process has held a lock on its directory for {} s",
        path.display(), LOCK_PATIENCE.as_secs()
    )]
    Locked {
        /// The socket.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Io {
        /// The socket.
        address: String,
        /// What the system said.
        error: io::Error,
    },
}

/// The file of a bound socket, known by its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    mode: u32,
    owner: u32,
}

impl SocketFile {
    /// Finds the file of a listening socket that this process has inherited: the one at
    /// `path`, if connections to it arrive at `listener`.
    ///
    /// The connection that finds it out is left in the queue, and closed already.
    ///
    /// # Errors
    ///
    /// Those of the system, when the file cannot be looked at.
    pub(crate) fn of(listener: impl AsFd, path: &Path) -> io::Result<Option<Self>> {
        let path = std::path::absolute(path)?;
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let connected = stream_socket().and_then(|probe| {
            connect(&probe, &SocketAddrUnix::new(&path)?)?;
            // unix_stream_connect() has queued it before it returns.
            let mut queue = [PollFd::new(&listener, PollFlags::IN)];
            poll(&mut queue, Some(&Timespec::default()))
        });
        let is_ours = connected.is_ok_and(|ready| ready > 0);
        Ok(is_ours.then(|| Self::new(path, &found)))
    }

    fn new(path: PathBuf, metadata: &Metadata) -> Self {
        Self {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
        }
    }

    pub(super) fn mode(&self) -> u32 {
        self.mode
    }

    /// The user whom the file belongs to.
    pub(crate) fn owner(&self) -> Uid {
        Uid::from_raw(self.owner)
    }

    /// Removes the file unless another server has put its own there meanwhile.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        let found = match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        if (found.dev(), found.ino()) == (self.device, self.inode) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

/// Binds a socket to `path`, in place of one that nobody answers on, and starts listening.
///
/// # Errors
///
/// [`UnixError`] says what is in the way and what to do about it.
pub(crate) fn bind_path(
    path: &Path,
    permissions: &Permissions,
    backlog: i32,
) -> Result<(OwnedFd, SocketFile), UnixError> {
    // The process may change its directory later (--chdir), and so may the application.
    let path = std::path::absolute(path).map_err(|error| other(path, error))?;
    let _lock = lock_directory(&path)?;
    remove_stale(&path)?;

    let address = SocketAddrUnix::new(&path).map_err(|errno| other(&path, reason(errno)))?;
    let fd = stream_socket().map_err(|errno| other(&path, reason(errno)))?;
    bind(&fd, &address).map_err(|errno| bind_error(&path, errno))?;
    // Until listen() nobody can connect, so the file never has another mode while in use.
    let file = hand_over(&path, permissions).inspect_err(|_| drop(fs::remove_file(&path)))?;
    listen(&fd, backlog).map_err(|errno| other(&path, reason(errno)))?;
    Ok((fd, file))
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

fn stream_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Two servers that start at once would both find the same stale file, and the second would
/// remove the first one's socket. A lock on the directory needs no file of its own.
fn lock_directory(path: &Path) -> Result<File, UnixError> {
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let directory = File::open(parent).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UnixError::NoDirectory {
            path: path.to_owned(),
        },
        io::ErrorKind::PermissionDenied => denied_directory(path),
        _ => other(path, error),
    })?;
    let started = Instant::now();
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(directory),
            Err(Errno::WOULDBLOCK | Errno::INTR) if started.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                return Err(UnixError::Locked {
                    path: path.to_owned(),
                });
            }
            // Some network file systems have no locks.
            Err(_) => return Ok(directory),
        }
    }
}

/// Removes a socket that nobody answers on: its server was killed before it could do so.
fn remove_stale(path: &Path) -> Result<(), UnixError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| other(path, error))?,
    };
    if !found.file_type().is_socket() {
        return Err(UnixError::NotASocket {
            path: path.to_owned(),
        });
    }
    let probe = stream_socket()
        .and_then(|fd| connect(&fd, &SocketAddrUnix::new(path)?))
        .err();
    match probe {
        Some(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => UnixError::Denied {
                action: "replace the stale socket",
                path: path.to_owned(),
                hint: "remove it as its owner, or start scoter as that user",
            },
            _ => other(path, error),
        }),
        Some(Errno::ACCESS) => Err(UnixError::Denied {
            action: "find out whether a server answers on",
            path: path.to_owned(),
            hint: "the socket belongs to somebody else; choose another path",
        }),
        Some(Errno::NOENT) => Ok(()),
        // Connected, or its backlog is full (EAGAIN): somebody listens.
        _ => Err(UnixError::InUse {
            address: format!("unix:{}", path.display()),
        }),
    }
}

fn hand_over(path: &Path, permissions: &Permissions) -> Result<SocketFile, UnixError> {
    fs::set_permissions(path, Mode::from_mode(permissions.mode))
        .map_err(|error| other(path, error))?;
    nix::unistd::chown(path, permissions.owner, permissions.group).map_err(
        |errno| match errno {
            nix::errno::Errno::EPERM => UnixError::Denied {
                action: "give away",
                path: path.to_owned(),
                hint: "only root can choose the owner, and only root or a member the group",
            },
            errno => other(path, io::Error::from(errno)),
        },
    )?;
    let metadata = fs::symlink_metadata(path).map_err(|error| other(path, error))?;
    Ok(SocketFile::new(path.to_owned(), &metadata))
}

fn bind_error(path: &Path, errno: Errno) -> UnixError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => denied_directory(path),
        Errno::NOENT => UnixError::NoDirectory {
            path: path.to_owned(),
        },
        Errno::ADDRINUSE => UnixError::InUse {
            address: format!("unix:{}", path.display()),
        },
        errno => other(path, reason(errno)),
    }
}

fn denied_directory(path: &Path) -> UnixError {
    UnixError::Denied {
        action: "listen on",
        path: path.to_owned(),
        hint: "the directory must be writable for the user that runs scoter (systemd: \
               RuntimeDirectory=)",
    }
}

fn other(path: &Path, error: io::Error) -> UnixError {
    UnixError::Io {
        address: format!("unix:{}", path.display()),
        error,
    }
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

/// How long a start waits for another start in the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);
