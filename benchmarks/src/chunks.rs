use crate::expectation::{Expectation, excerpt};
use crate::fault::Fault;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In the digits of a size; whether there were any yet.
    Size { size: u64, digits: bool },
    /// In what follows the digits of a size.
    Extension { size: u64 },
    /// In a chunk of which so many bytes are missing.
    Data { missing: u64 },
    /// Behind a chunk's last byte.
    DataEnd,
    /// In the lines after the last chunk; whether this one is empty so far.
    Trailer { empty: bool },
    /// Behind the body.
    Done,
}

impl Chunks {
    pub(crate) const START: Self = Self::Size {
        size: 0,
        digits: false,
    };

    /// Reads from the front of `input` and compares the data; returns the
    /// bytes that were used, which are fewer than all only if it is done.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        received: &mut u64,
        expectation: &Expectation,
    ) -> Result<usize, Fault> {
        let mut used = 0;
        while used < input.len() && *self != Self::Done {
            if let Self::Data { missing } = *self {
                let rest = &input[used..];
                let piece = &rest[..rest
                    .len()
                    .min(usize::try_from(missing).unwrap_or(usize::MAX))];
                expectation.compare(*received, piece)?;
                *received += piece.len() as u64;
                used += piece.len();
                *self = match missing - piece.len() as u64 {
                    0 => Self::DataEnd,
                    missing => Self::Data { missing },
                };
            } else {
                *self = self.after(input[used]).map_err(|expected| Fault::Chunk {
                    expected,
                    received: *received,
                    got: excerpt(&input[used..]),
                })?;
                used += 1;
            }
        }
        Ok(used)
    }

    /// Returns the place after one byte that is no data, or what should have
    /// stood there. A CR is skipped before an LF, wherever there is one.
    fn after(self, byte: u8) -> Result<Self, &'static str> {
        let next = match (self, byte) {
            (Self::Size { digits: true, size }, b'\n') | (Self::Extension { size }, b'\n') => {
                match size {
                    0 => Self::Trailer { empty: true },
                    missing => Self::Data { missing },
                }
            }
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::Size { size, digits }, _) => match char::from(byte).to_digit(16) {
                Some(digit) if size >> 60 == 0 => Self::Size {
                    size: size << 4 | u64::from(digit),
                    digits: true,
                },
                None if digits && matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    Self::Extension { size }
                }
                _ => return Err("a chunk's size"),
            },
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::START,
            (Self::DataEnd, _) => return Err("a line's end"),
            (Self::Trailer { empty }, b'\r') => Self::Trailer { empty },
            (Self::Trailer { empty: true }, b'\n') => Self::Done,
            (Self::Trailer { empty: false }, b'\n') => Self::Trailer { empty: true },
            (Self::Trailer { .. }, _) => Self::Trailer { empty: false },
            (Self::Data { .. } | Self::Done, _) => self,
        };
        Ok(next)
    }
}
