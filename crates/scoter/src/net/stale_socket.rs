//! A socket's file that a killed server has left behind.

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, connect};

use super::folder::Folder;
use super::reason::reason;
use super::socket_file::stream_socket;
use super::unix_error::{UnixError, bind_error, other};

/// Removes a socket that no process listens on, because its server was killed before it could.
pub(super) fn remove_stale(folder: &Folder) -> Result<(), UnixError> {
    let path = folder.path();
    let found = folder.look().map_err(|errno| bind_error(path, errno))?;
    let Some(found) = found else {
        return Ok(());
    };
    if !FileType::from_raw_mode(found.st_mode).is_socket() {
        return Err(UnixError::NotASocket {
            path: path.to_owned(),
        });
    }
    let probe = stream_socket()
        .and_then(|fd| connect(&fd, &SocketAddrUnix::new(path)?))
        .err();
    match probe {
        Some(Errno::CONNREFUSED) => folder.unlink().map_err(|errno| match errno {
            Errno::ACCESS | Errno::PERM => UnixError::Denied {
                action: "replace the stale socket",
                path: path.to_owned(),
                hint: "remove it as its owner, or start scoter as that user",
            },
            errno => other(path, reason(errno)),
        }),
        Some(Errno::ACCESS) => Err(UnixError::Denied {
            action: "find out whether a server answers on",
            path: path.to_owned(),
            hint: "another user owns the socket; choose another path",
        }),
        Some(Errno::NOENT) => Ok(()),
        // Connected, or the backlog is full (EAGAIN): a process listens on it.
        _ => Err(UnixError::InUse {
            address: format!("unix:{}", path.display()),
        }),
    }
}
