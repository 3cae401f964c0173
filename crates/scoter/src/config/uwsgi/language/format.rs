//! The forms that a file of options can have.

use super::entry::Entries;
use super::error::Mistake;
use super::magic::Text;
use super::{ini, json, yaml};

/// In which form a file has its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Ini,
    Yaml,
    Json,
    Xml,
}

impl Format {
    /// That of a file which is named without an option, or by `include` and `inherit`. uWSGI compares
    /// with the whole name: `FILE:SECTION` has no form.
    pub(super) fn of(name: &str) -> Option<Self> {
        const ENDINGS: [(&str, Format); 6] = [
            (".ini", Format::Ini),
            (".xml", Format::Xml),
            (".yaml", Format::Yaml),
            (".yml", Format::Yaml),
            (".json", Format::Json),
            (".js", Format::Json),
        ];
        let mut endings = ENDINGS.into_iter();
        endings.find_map(|(ending, format)| name.ends_with(ending).then_some(format))
    }

    /// The options in a section of a file.
    ///
    /// # Errors
    ///
    /// With the line that has the mistake.
    pub(super) fn entries(self, text: &Text, section: &str) -> Result<Entries, (usize, Mistake)> {
        match self {
            Self::Ini => Ok(ini::entries(text, section)),
            Self::Yaml => yaml::entries(text, section),
            Self::Json => json::entries(text, section),
            Self::Xml => Ok(Entries::default()),
        }
    }
}
