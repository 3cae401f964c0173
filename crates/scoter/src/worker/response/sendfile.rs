//! Sending from a file.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::fs::sendfile;
use rustix::io::{Errno, pread};

use super::send_progress::{Progress, SendError};
use crate::worker::connection::Connection;

/// A range of a file.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) file: OwnedFd,
    pub(super) offset: u64,
    pub(super) left: u64,
}

impl FilePart {
    pub(super) fn send(&mut self, connection: &Connection) -> Result<Progress, SendError> {
        while self.left > 0 {
            let fd = connection
                .fd()
                .map_err(|errno| SendError::Peer(errno.into()))?;
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
            let sent = sendfile(
                fd,
                &self.file,
                Some(&mut self.offset),
                wanted.min(MAX_SENDFILE),
            );
            match sent {
                // Shorter than it was: the missing bytes must not look like the end.
                Ok(0) => return Err(SendError::File(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => self.left -= sent as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if connection.widen(FILE_SEND_BUFFER) => {}
                Err(Errno::AGAIN) => return Ok(Progress::Blocked),
                // sendfile(2): not every file can be sent so, and then it says EINVAL.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    if self.copy(connection)? == Progress::Blocked {
                        return Ok(Progress::Blocked);
                    }
                }
                Err(errno) if is_of_a_socket(errno) || connection.is_lost() => {
                    return Err(SendError::Peer(errno.into()));
                }
                Err(errno) => return Err(SendError::File(errno.into())),
            }
        }
        Ok(Progress::Done)
    }

    /// Reads a piece and sends of it what the peer takes.
    fn copy(&mut self, connection: &Connection) -> Result<Progress, SendError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut piece = vec![0; wanted.min(COPY_STEP)];
        let read = pread(&self.file, &mut piece, self.offset)
            .map_err(|errno| SendError::File(errno.into()))?;
        if read == 0 {
            return Err(SendError::File(io::ErrorKind::UnexpectedEof.into()));
        }
        match connection.send(&[IoSlice::new(&piece[..read])]) {
            Ok(sent) => {
                self.offset += sent as u64;
                self.left -= sent as u64;
                Ok(Progress::Done)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::Blocked),
            Err(error) => Err(SendError::Peer(error)),
        }
    }
}

/// Whether it is the socket that sendfile(2) complains about, and not the file: what tcp(7) and
/// unix(7) list, and what an ICMP message makes of a connection (`icmp_err_convert`).
fn is_of_a_socket(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PIPE
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::CONNREFUSED
            | Errno::NOTCONN
            | Errno::SHUTDOWN
            | Errno::TIMEDOUT
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::NETRESET
            | Errno::NONET
            | Errno::NOPROTOOPT
            | Errno::PROTO
            // A packet filter.
            | Errno::PERM
    )
}

/// Bytes of a file that a slow peer may leave in the kernel: the pages of its cache.
const FILE_SEND_BUFFER: usize = 4 << 20;

/// Bytes of a file that are read at once where it has to be copied.
const COPY_STEP: usize = 64 << 10;

/// Bytes of one sendfile(2): the kernel takes no more than 0x7fff_f000.
const MAX_SENDFILE: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::net::Family;
    use crate::worker::connection::ConnectionTimeouts;

    #[test]
    fn peer_that_is_not_there_is_no_failure_of_the_file() {
        use rustix::net::{AddressFamily, SocketType, socket};

        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        let timeouts = ConnectionTimeouts {
            body: Duration::ZERO,
            write: Duration::ZERO,
        };
        // ENOTCONN, which TCP has others beside.
        let lonely = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let connection = Connection::new(lonely, Family::Unix, timeouts);
        let mut part = FilePart {
            file: file.into(),
            offset: 0,
            left: 7,
        };
        let error = part.send(&connection).unwrap_err();
        assert!(matches!(error, SendError::Peer(_)), "{error}");
    }

    #[test]
    fn errors_of_files_are_told_from_those_of_sockets() {
        for errno in [Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::PIPE] {
            assert!(is_of_a_socket(errno), "{errno}");
        }
        for errno in [Errno::IO, Errno::STALE, Errno::NOMEM, Errno::BADF] {
            assert!(!is_of_a_socket(errno), "{errno}");
        }
    }

    #[test]
    fn file_that_the_kernel_cannot_send_is_copied_from_its_offset() {
        let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let timeouts = ConnectionTimeouts {
            body: Duration::ZERO,
            write: Duration::ZERO,
        };
        let connection = Connection::new(OwnedFd::from(ours), Family::Unix, timeouts);
        let mut part = FilePart {
            file: file.into(),
            offset: 5,
            left: 700_000,
        };
        let mut received = Vec::new();
        while part.left > 0 {
            let before = part.left;
            let progress = part.copy(&connection).unwrap();
            assert_eq!(progress == Progress::Blocked, part.left == before);
            if progress == Progress::Blocked {
                let mut taken = vec![0; 10_000];
                theirs.read_exact(&mut taken).unwrap();
                received.extend(taken);
            }
        }
        drop(connection);
        theirs.read_to_end(&mut received).unwrap();
        assert!(received == content[5..700_005], "{} bytes", received.len());

        part.left = 1_000_000;
        part.offset = content.len() as u64;
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(OwnedFd::from(ours), Family::Unix, timeouts);
        let error = part.copy(&connection).unwrap_err();
        assert!(matches!(error, SendError::File(_)), "{error}");
    }
}
