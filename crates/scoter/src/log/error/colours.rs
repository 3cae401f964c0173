//! Whether messages are coloured.

use std::io;

use crate::log::colours::are_wanted_on;

/// Whether messages may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// If standard error is a terminal that has them.
    Auto,
    Never,
}

impl Colours {
    pub(super) fn are_on(self) -> bool {
        self == Self::Auto && are_wanted_on(&io::stderr())
    }
}
