//! The unsent rest of a response that is complete on the Python side.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::sendfile;
use rustix::io::{Errno, pread};
use thiserror::Error;
use wsgi_environ::{RemainingBody, ResponseTail};

use crate::sys::descriptors::move_aside;
use crate::sys::pool::Panicked;
use crate::worker::connection::{Connection, MAX_PARTS};
use crate::worker::response::memory::{Pieces, ResponseMemory};

/// Bytes, then perhaps a file, and how far they have been sent.
///
/// It owns everything it sends, so that Python can go on meanwhile.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// The head, with the body behind it where that is small.
    front: Vec<u8>,
    /// Larger pieces of the body.
    chunks: Pieces,
    /// The first piece that is not sent whole: 0 is `front`, then come the chunks.
    piece: usize,
    /// Bytes of it that have been sent.
    offset: usize,
    /// Bytes of `front` and `chunks` that have not been sent.
    bytes_left: usize,
    file: Option<FilePart>,
}

/// A range of a file.
#[derive(Debug)]
struct FilePart {
    file: OwnedFd,
    offset: u64,
    left: u64,
}

/// How far a send came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything has been sent.
    Done,
    /// The peer's buffer is full.
    Blocked,
}

/// Why a response cannot be sent whole.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// The peer went away.
    #[error("the peer disconnected: {0}")]
    Peer(io::Error),
    /// The peer took nothing until the write deadline.
    #[error("the peer accepted nothing for --write-timeout")]
    Stalled,
    /// The file cannot be read, or is shorter than it was.
    #[error("cannot read the file to its end: {0}")]
    File(io::Error),
    /// A thread that was to send a part.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl SendBuffer {
    /// Plain bytes, ready to send.
    pub(crate) fn bytes(front: Vec<u8>) -> Self {
        Self {
            bytes_left: front.len(),
            front,
            ..Self::default()
        }
    }

    /// What a panic has left of a response: nothing can be sent, and of `left` bytes it is not
    /// known whether they were.
    pub(crate) fn lost(left: u64) -> Self {
        Self {
            bytes_left: usize::try_from(left).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    /// Sends as much as the peer takes now.
    pub(crate) fn send(&mut self, connection: &Connection) -> Result<Progress, SendError> {
        while self.bytes_left > 0 {
            match self.send_bytes(connection) {
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Blocked);
                }
                Err(error) => return Err(SendError::Peer(error)),
            }
        }
        match &mut self.file {
            Some(part) => part.send(connection),
            None => Ok(Progress::Done),
        }
    }

    /// Bytes that have not been sent.
    pub(crate) fn left(&self) -> u64 {
        let file = self.file.as_ref().map_or(0, |part| part.left);
        self.bytes_left as u64 + file
    }

    /// Whether sending it may have to wait for a disk.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Prepares it for a longer stay: the number of a file must not be given out again.
    pub(crate) fn settle(&mut self) {
        if let Some(part) = self.file.take() {
            let file = move_aside(part.file);
            self.file = Some(FilePart { file, ..part });
        }
    }

    /// Bytes of Python's that are kept, whether they have been sent or not.
    pub(crate) fn bytes_of_python(&self) -> usize {
        self.chunks.bytes()
    }

    /// Counts what is kept as a part of `memory`, if there is room for it.
    pub(crate) fn count_in(&mut self, memory: &Arc<ResponseMemory>) -> bool {
        let bytes = self.front.capacity() + self.chunks.bytes();
        let share = memory.take(bytes as u64);
        let is_counted = share.is_some();
        if let Some(share) = share {
            self.chunks.count(share);
        }
        is_counted
    }

    /// Lets go of everything that is kept in memory, once nothing of it is left to send.
    pub(crate) fn let_go(&mut self) {
        debug_assert_eq!(self.bytes_left, 0, "nothing is left to send");
        self.front = Vec::new();
        self.chunks = Pieces::default();
        self.piece = 0;
        self.offset = 0;
    }

    /// Gives the buffer of the head back for the next response.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.front
    }

    fn piece(&self, index: usize) -> &[u8] {
        match index.checked_sub(1) {
            None => &self.front,
            Some(chunk) => self.chunks.get(chunk),
        }
    }

    fn send_bytes(&self, connection: &Connection) -> io::Result<usize> {
        let first = &self.piece(self.piece)[self.offset..];
        let rest = self.piece + 1..=self.chunks.len();
        if rest.is_empty() {
            return connection.send(&[IoSlice::new(first)]);
        }
        let parts: Vec<_> = std::iter::once(first)
            .chain(rest.map(|index| self.piece(index)))
            .take(MAX_PARTS)
            .map(IoSlice::new)
            .collect();
        connection.send(&parts)
    }

    fn advance(&mut self, sent: usize) {
        self.bytes_left -= sent;
        self.offset += sent;
        while self.piece < self.chunks.len() && self.offset >= self.piece(self.piece).len() {
            self.offset -= self.piece(self.piece).len();
            self.piece += 1;
        }
    }
}

#[cfg(test)]
impl SendBuffer {
    /// As if so many pieces had been sent.
    pub(crate) fn in_pieces(self, piece: usize) -> Self {
        Self { piece, ..self }
    }
}

impl From<ResponseTail> for SendBuffer {
    fn from(tail: ResponseTail) -> Self {
        let mut buffer = Self::bytes(tail.out);
        match tail.body {
            RemainingBody::Nothing => {}
            RemainingBody::Chunks(chunks) => {
                buffer.chunks = chunks.into();
                buffer.bytes_left += buffer.chunks.bytes();
            }
            RemainingBody::File { file, offset, len } => {
                buffer.file = Some(FilePart {
                    file,
                    offset,
                    left: len,
                });
            }
        }
        buffer
    }
}

impl FilePart {
    fn send(&mut self, connection: &Connection) -> Result<Progress, SendError> {
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
