use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::Transport;
use crate::input::InputFailure;

/// Where the body of a request is.
#[derive(Debug)]
pub struct Body {
    pub(super) prefix: Bytes,
    pub(super) source: Source,
    pub(super) expected: u64,
}

impl Body {
    /// Creates the body of a request without one.
    #[must_use]
    pub fn empty() -> Self {
        Self::buffered(Bytes::new())
    }

    /// Creates a body that has arrived completely. The caller must cut it to its
    /// Content-Length.
    #[must_use]
    pub fn buffered(bytes: Bytes) -> Self {
        Self {
            expected: bytes.len() as u64,
            prefix: bytes.clone(),
            source: Source::Memory(bytes),
        }
    }

    /// Creates a body of which `prefix` has arrived and `remaining` bytes must
    /// still be received.
    #[must_use]
    pub fn streamed(prefix: Bytes, remaining: u64, transport: Arc<dyn Transport>) -> Self {
        Self {
            expected: remaining.saturating_add(prefix.len() as u64),
            prefix,
            source: Source::Stream {
                transport,
                left: remaining,
            },
        }
    }

    /// Creates a spooled body: the first `len` bytes of `file`, whatever its
    /// position.
    #[must_use]
    pub fn spooled(file: File, len: u64) -> Self {
        Self {
            prefix: Bytes::new(),
            source: Source::File {
                file,
                offset: 0,
                left: len,
            },
            expected: len,
        }
    }

    /// Says whether nothing of it has to be received any more.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        self.source.unread() == 0
    }
}

/// What follows the bytes in memory.
pub(super) enum Source {
    /// Nothing: these bytes are the whole body, kept for seeking back.
    Memory(Bytes),
    Stream {
        transport: Arc<dyn Transport>,
        left: u64,
    },
    File {
        file: File,
        offset: u64,
        left: u64,
    },
}

impl Source {
    pub(super) fn left(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::Stream { left, .. } | Self::File { left, .. } => *left,
        }
    }

    /// Returns the bytes that are still in the connection.
    pub(super) fn unread(&self) -> u64 {
        match self {
            Self::Stream { left, .. } => *left,
            Self::Memory(_) | Self::File { .. } => 0,
        }
    }

    /// Waits for bytes and returns how many there are: at least one, unless
    /// nothing is left or `buf` is empty.
    pub(super) fn receive(&mut self, buf: &mut [u8], expected: u64) -> Result<usize, InputFailure> {
        let room = buf
            .len()
            .min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        let buf = &mut buf[..room];
        if buf.is_empty() {
            return Ok(0);
        }
        match self {
            Self::Memory(_) => Ok(0),
            Self::Stream { transport, left } => {
                let received = expected - *left;
                let failure = |kind| match kind {
                    io::ErrorKind::TimedOut => InputFailure::TimedOut { received, expected },
                    kind => InputFailure::Lost {
                        received,
                        expected,
                        kind,
                    },
                };
                match retry(|| transport.recv(buf)).map_err(|error| failure(error.kind()))? {
                    0 => Err(InputFailure::ShortBody { received, expected }),
                    n => {
                        *left = left.saturating_sub(n as u64);
                        Ok(n)
                    }
                }
            }
            Self::File { file, offset, left } => {
                let failure = |kind| InputFailure::Spool {
                    read: *offset,
                    expected,
                    kind,
                };
                match retry(|| file.read_at(buf, *offset)).map_err(|error| failure(error.kind()))? {
                    0 => Err(failure(io::ErrorKind::UnexpectedEof)),
                    n => {
                        *offset += n as u64;
                        *left = left.saturating_sub(n as u64);
                        Ok(n)
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Memory(_) => "Memory",
            Self::Stream { .. } => "Stream",
            Self::File { .. } => "File",
        };
        f.debug_struct(name)
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
