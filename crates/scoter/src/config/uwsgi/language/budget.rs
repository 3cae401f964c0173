//! Bounds for what a configuration can ask of its reader.
//!
//! Loops, includes and placeholders multiply: a file of some lines can mean more directives than there is
//! memory. No configuration that anybody has written comes near these bounds.

use thiserror::Error;

/// Directives, before any is applied. A loop writes many.
const DIRECTIVES: usize = 20_000;
/// Bytes of all files and values together, those that are replaced included.
const TEXT: usize = 16 << 20;
/// Bytes that are looked at in search of placeholders, and in lists of loops.
const WORK: usize = 64 << 20;
/// Bytes of one file.
pub(super) const FILE: usize = 1 << 20;
/// Files in files, and options of `declare-option` in each other.
pub(super) const DEPTH: usize = 32;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    directives: usize,
    text: usize,
    work: usize,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Exhausted {
    #[error(
        "there are more than {DIRECTIVES} options\nhint: do loops or included files repeat each other?"
    )]
    Directives,
    #[error(
        "the configuration has more than 16 MiB\nhint: do placeholders or files repeat each other?"
    )]
    Text,
    #[error(
        "placeholders are replaced without end\nhint: does one refer to itself, as in a = x%(a)?"
    )]
    Work,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            directives: DIRECTIVES,
            text: TEXT,
            work: WORK,
        }
    }

    pub(super) fn directive(&mut self) -> Result<(), Exhausted> {
        take(&mut self.directives, 1, Exhausted::Directives)
    }

    pub(super) fn text(&mut self, bytes: usize) -> Result<(), Exhausted> {
        take(&mut self.text, bytes, Exhausted::Text)
    }

    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Exhausted> {
        take(&mut self.work, bytes, Exhausted::Work)
    }

    /// How many directives there may still be.
    pub(super) fn directives_left(&self) -> usize {
        self.directives
    }
}

fn take(left: &mut usize, wanted: usize, otherwise: Exhausted) -> Result<(), Exhausted> {
    *left = left.checked_sub(wanted).ok_or(otherwise)?;
    Ok(())
}
