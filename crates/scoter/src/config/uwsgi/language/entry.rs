//! The options that a file has.

use super::error::Mistake;
use super::magic::Text;

/// What a file has in the section that was asked for.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) list: Vec<Entry>,
    /// The line of a section that has almost the name.
    pub(super) almost: Option<usize>,
    /// What was skipped, with its line.
    pub(super) skipped: Vec<(usize, String)>,
}

/// An option in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Counted from 1.
    pub(super) line: usize,
}

/// The text of a file that has to be UTF-8 as a whole.
pub(super) fn utf8(text: &Text) -> Result<&str, (usize, Mistake)> {
    std::str::from_utf8(&text.bytes).map_err(|error| {
        let before = &text.bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = text.bytes.get(before.len()).copied().unwrap_or_default();
        (text.line(line), Mistake::NotUtf8 { byte })
    })
}
