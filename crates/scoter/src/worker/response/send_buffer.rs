//! The unsent rest of a response that is complete on the Python side.

use std::io::{self, IoSlice};
use std::sync::Arc;

use wsgi_environ::{RemainingBody, ResponseTail};

use super::send_progress::{Progress, SendError};
use super::sendfile::FilePart;
use crate::sys::descriptors::move_aside;
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
    pub(crate) fn take_front(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.front)
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
