//! How much of uWSGI's configuration is taken over.

use std::fmt;

use super::configuration::UwsgiConfiguration;
use super::translation::Kind;

/// How many directives there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) taken_over: usize,
    pub(crate) nothing_to_do: usize,
    pub(crate) elsewhere: usize,
    pub(crate) lost: usize,
    pub(crate) unknown: usize,
}

impl Tally {
    pub(crate) fn of(configuration: &UwsgiConfiguration) -> Self {
        let mut tally = Self::default();
        for note in &configuration.notes {
            let count = note.directives.len();
            match note.kind {
                // Counted below.
                Kind::Mapped => continue,
                Kind::NothingToDo => tally.nothing_to_do += count,
                Kind::Elsewhere(_) => tally.elsewhere += count,
                Kind::Lost => tally.lost += count,
                Kind::Misspelt(_) | Kind::Unknown => tally.unknown += count,
            }
        }
        let others = tally.nothing_to_do + tally.elsewhere + tally.lost + tally.unknown;
        tally.taken_over = configuration.directives.len().saturating_sub(others);
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} taken over", self.taken_over)?;
        for (count, what) in [
            (self.nothing_to_do, "need nothing"),
            (self.elsewhere, "to do elsewhere"),
            (self.lost, "lost"),
            (self.unknown, "unknown to uWSGI, too"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
