//! What is left to send of a response that is complete on the Python side.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use pyo3::pybacked::PyBackedBytes;
use rustix::fs::sendfile;
use rustix::io::Errno;
use wsgi_environ::{Rest, Tail, Transport};

use super::connection::Connection;

/// Bytes, then perhaps a file, and how far they have been sent.
///
/// It owns everything it sends, so that Python can go on meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// The head, with the body behind it where that is small.
    front: Vec<u8>,
    /// Larger pieces of the body.
    chunks: Vec<PyBackedBytes>,
    /// Bytes sent of `front` and `chunks` together.
    sent: usize,
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

impl Outgoing {
    /// Plain bytes, ready to send.
    pub(crate) fn bytes(front: Vec<u8>) -> Self {
        Self {
            front,
            ..Self::default()
        }
    }

    /// Sends as much as the peer takes now.
    pub(crate) fn send(&mut self, connection: &Connection) -> io::Result<Progress> {
        while self.bytes_left() > 0 {
            match self.send_bytes(connection) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Blocked);
                }
                Err(error) => return Err(error),
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
        self.bytes_left() as u64 + file
    }

    /// Whether sending it may have to wait for a disk.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Gives the buffer of the head back for the next response.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.front
    }

    fn bytes_left(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.len()).sum();
        self.front.len() + chunks - self.sent
    }

    fn send_bytes(&self, connection: &Connection) -> io::Result<usize> {
        if self.chunks.is_empty() {
            return connection.try_send(&[IoSlice::new(&self.front[self.sent..])]);
        }
        let mut skip = self.sent;
        let mut parts = Vec::with_capacity(1 + self.chunks.len());
        let chunks = self.chunks.iter().map(|chunk| &**chunk);
        for part in std::iter::once(&self.front[..]).chain(chunks) {
            let skipped = skip.min(part.len());
            skip -= skipped;
            if skipped < part.len() {
                parts.push(IoSlice::new(&part[skipped..]));
            }
        }
        connection.try_send(&parts)
    }
}

impl From<Tail> for Outgoing {
    fn from(tail: Tail) -> Self {
        let mut outgoing = Self::bytes(tail.out);
        match tail.rest {
            Rest::Nothing => {}
            Rest::Chunks(chunks) => outgoing.chunks = chunks,
            Rest::File { file, offset, len } => {
                outgoing.file = Some(FilePart {
                    file,
                    offset,
                    left: len,
                });
            }
        }
        outgoing
    }
}

impl FilePart {
    fn send(&mut self, connection: &Connection) -> io::Result<Progress> {
        while self.left > 0 {
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
            match sendfile(
                connection,
                &self.file,
                Some(&mut self.offset),
                wanted.min(LARGEST_SENDFILE),
            ) {
                // The file has become shorter than it was: the missing bytes must not look
                // like the end of the response.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => self.left -= sent as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Progress::Blocked),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Progress::Done)
    }
}

/// Bytes of one sendfile(2): the kernel takes no more than 0x7fff_f000.
const LARGEST_SENDFILE: usize = 1 << 30;
