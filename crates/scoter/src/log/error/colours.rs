//! Whether messages are coloured.

use std::io;

use crate::sys::terminal::has_colours;

/// Whether messages may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// If standard error is a terminal that has them.
    Auto,
    Never,
}

impl Colours {
    pub(super) fn are_on(self) -> bool {
        self == Self::Auto && has_colours(&io::stderr())
    }
}
