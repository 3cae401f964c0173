//! Settings as JSON, for passing them from one scoter process to another.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::origin::Origin;
use crate::config::os_text::OsText;
use crate::config::settings::{Setting, Settings};
use crate::config::table::TABLE;

/// The text is not what [`Settings::to_json`] writes.
#[derive(Debug, Error)]
#[error("not the settings of this version of scoter")]
pub(crate) struct NotSettings;

impl Settings {
    /// One line of JSON, from which [`Settings::from_json`] restores the settings, without what is said
    /// of uWSGI's configuration.
    pub(crate) fn to_json(&self) -> String {
        let entries = self.all.iter().map(|setting| Entry {
            name: setting.opt.name.to_owned(),
            texts: setting.texts.iter().map(|text| OsText::of(text)).collect(),
            origin: setting.origin.clone(),
        });
        let json = serde_json::to_string(&entries.collect::<Vec<_>>());
        json.expect("strings and numbers, with strings as keys")
    }

    /// Reads what [`Settings::to_json`] wrote in another process of the same version.
    ///
    /// # Errors
    ///
    /// [`NotSettings`] for anything else.
    pub(crate) fn from_json(json: &str) -> Result<Self, NotSettings> {
        let entries: Vec<Entry> = serde_json::from_str(json).map_err(|_| NotSettings)?;
        if entries.len() != TABLE.len() {
            return Err(NotSettings);
        }
        let settings = TABLE.iter().zip(entries).map(|(opt, entry)| {
            (entry.name == opt.name).then(|| Setting {
                opt,
                texts: entry.texts.into_iter().map(OsString::from).collect(),
                origin: entry.origin,
            })
        });
        let all = settings.collect::<Option<_>>().ok_or(NotSettings)?;
        Ok(Self { all, uwsgi: None })
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    texts: Vec<OsText>,
    origin: Origin,
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn settings_survive_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scoter.toml"), "threads = 8\n").unwrap();
        let arguments = ["app", "--bind=unix:/a", "--bind=unix:/b"];
        let variables = [("SCOTER_WORKERS", "4")];
        let mut sent = Settings::of(&arguments, &variables, folder.path()).unwrap();
        let chdir = sent
            .all
            .iter_mut()
            .find(|setting| setting.opt.name == "chdir");
        chdir.unwrap().texts = vec![OsString::from_vec(b"/caf\xe9".to_vec())];
        let json = sent.to_json();
        assert!(!json.contains('\n'));
        assert_eq!(Settings::from_json(&json).unwrap(), sent);
    }

    #[test]
    fn anything_else_is_refused() {
        let sent = Settings::of(&["app"], &[], Path::new("/"))
            .unwrap()
            .to_json();
        for json in [
            String::new(),
            "[]".to_owned(),
            "{}".to_owned(),
            sent.replace("\"threads\"", "\"thread\""),
            sent.replace("\"default\"", "\"nowhere\""),
            sent[..sent.len() - 1].to_owned(),
        ] {
            assert!(Settings::from_json(&json).is_err(), "{json}");
        }
    }
}
