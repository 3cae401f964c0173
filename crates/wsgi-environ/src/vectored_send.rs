use std::io::{self, IoSlice};

use crate::Transport;

/// A send of two consecutive buffers, which may need several system calls.
#[derive(Debug)]
pub(crate) struct VectoredSend<'a> {
    head: &'a [u8],
    part: &'a [u8],
    sent: usize,
}

impl<'a> VectoredSend<'a> {
    pub(crate) fn new(head: &'a [u8], part: &'a [u8]) -> Self {
        Self {
            head,
            part,
            sent: 0,
        }
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    pub(crate) fn is_done(&self) -> bool {
        self.sent == self.head.len() + self.part.len()
    }

    /// Sends what the client accepts immediately, which may be nothing.
    pub(crate) fn try_once(&mut self, transport: &dyn Transport) -> Result<(), PeerError> {
        let head = self.head.get(self.sent..).unwrap_or_default();
        let part = &self.part[self.sent.saturating_sub(self.head.len())..];
        let pieces = [IoSlice::new(head), IoSlice::new(part)];
        let pieces = if head.is_empty() {
            &pieces[1..]
        } else {
            &pieces[..]
        };
        match transport.try_send(pieces) {
            Ok(0) => Err(PeerError::Gone),
            Ok(n) => {
                let left = self.head.len() + self.part.len() - self.sent;
                self.sent += n.min(left);
                Ok(())
            }
            Err(error) => PeerError::from_error(&error),
        }
    }

    /// Sends the rest, waiting for the client if necessary.
    pub(crate) fn finish(&mut self, transport: &dyn Transport) -> Result<(), PeerError> {
        loop {
            let before = self.sent;
            self.try_once(transport)?;
            if self.is_done() {
                return Ok(());
            }
            if self.sent == before {
                transport
                    .wait_writable()
                    .or_else(|error| PeerError::from_error(&error))?;
            }
        }
    }
}

/// Why nothing more can be sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerError {
    Gone,
    Stalled,
}

impl PeerError {
    /// Distinguishes the end of a connection from a reason to retry.
    fn from_error(error: &io::Error) -> Result<(), Self> {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::TimedOut => Err(Self::Stalled),
            _ => Err(Self::Gone),
        }
    }
}
