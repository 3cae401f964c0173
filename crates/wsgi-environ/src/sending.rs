use std::io::{self, IoSlice};

use crate::Transport;

/// Two pieces on their way to the client, one behind the other.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    head: &'a [u8],
    part: &'a [u8],
    sent: usize,
}

impl<'a> Sending<'a> {
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

    /// Sends what the client takes at once, maybe nothing.
    pub(crate) fn try_once(&mut self, transport: &dyn Transport) -> Result<(), Lost> {
        let head = self.head.get(self.sent..).unwrap_or_default();
        let part = &self.part[self.sent.saturating_sub(self.head.len())..];
        let pieces = [IoSlice::new(head), IoSlice::new(part)];
        let pieces = if head.is_empty() {
            &pieces[1..]
        } else {
            &pieces[..]
        };
        match transport.try_send(pieces) {
            Ok(0) => Err(Lost::Gone),
            Ok(n) => {
                let left = self.head.len() + self.part.len() - self.sent;
                self.sent += n.min(left);
                Ok(())
            }
            Err(error) => Lost::from_error(&error),
        }
    }

    /// Sends the rest, waiting for the client where it must.
    pub(crate) fn finish(&mut self, transport: &dyn Transport) -> Result<(), Lost> {
        loop {
            let before = self.sent;
            self.try_once(transport)?;
            if self.is_done() {
                return Ok(());
            }
            if self.sent == before {
                transport
                    .wait_writable()
                    .or_else(|error| Lost::from_error(&error))?;
            }
        }
    }
}

/// Why nothing can be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Gone,
    Stalled,
}

impl Lost {
    /// Tells the end of a connection from a reason to try again.
    fn from_error(error: &io::Error) -> Result<(), Self> {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::TimedOut => Err(Self::Stalled),
            _ => Err(Self::Gone),
        }
    }
}
