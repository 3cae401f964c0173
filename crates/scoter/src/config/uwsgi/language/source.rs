//! Files of options, in whichever form.

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

/// The text of a file that has to be UTF-8 as a whole.
pub(super) fn utf8(text: &Text) -> Result<&str, (usize, Mistake)> {
    std::str::from_utf8(&text.bytes).map_err(|error| {
        let before = &text.bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = text.bytes.get(before.len()).copied().unwrap_or_default();
        (text.line(line), Mistake::NotUtf8 { byte })
    })
}
