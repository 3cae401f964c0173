//! Whether messages are coloured.

use std::io::{self, IsTerminal};

/// Whether messages may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// If standard error is a terminal.
    Auto,
    Never,
}

impl Colours {
    pub(super) fn are_on(self) -> bool {
        self == Self::Auto && io::stderr().is_terminal()
    }
}
