//! Settings on their way from one process of scoter to another.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde_json::{Value, json};
use thiserror::Error;

use super::origin::{Origin, Place};
use super::settings::{Setting, Settings};
use super::table::TABLE;

/// The text is not what [`Settings::to_json`] writes.
#[derive(Debug, Error)]
#[error("these are no settings of this version of scoter")]
pub(crate) struct NotSettings;

impl Settings {
    /// One line of JSON, from which [`Settings::from_json`] makes the same settings.
    pub(crate) fn to_json(&self) -> String {
        let settings = self.0.iter().map(|setting| {
            let texts: Vec<_> = setting.texts.iter().map(|text| text_to(text)).collect();
            json!([setting.opt.name, texts, origin_to(&setting.origin)])
        });
        Value::from_iter(settings).to_string()
    }

    /// Reads what [`Settings::to_json`] wrote in another process of the same version.
    ///
    /// # Errors
    ///
    /// [`NotSettings`] for anything else.
    pub(crate) fn from_json(json: &str) -> Result<Self, NotSettings> {
        let settings: Vec<Value> = serde_json::from_str(json).map_err(|_| NotSettings)?;
        if settings.len() != TABLE.len() {
            return Err(NotSettings);
        }
        let settings = TABLE.iter().zip(&settings).map(|(opt, setting)| {
            let texts = setting.get(1)?.as_array()?.iter().map(text_from);
            (setting.get(0)? == opt.name).then_some(Setting {
                opt,
                texts: texts.collect::<Option<_>>()?,
                origin: origin_from(setting.get(2)?)?,
            })
        });
        settings.collect::<Option<_>>().map(Self).ok_or(NotSettings)
    }
}

/// A string, or the bytes of what is not UTF-8.
fn text_to(text: &OsStr) -> Value {
    match text.to_str() {
        Some(text) => text.into(),
        None => text.as_bytes().into(),
    }
}

fn text_from(value: &Value) -> Option<OsString> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let bytes = value
        .as_array()?
        .iter()
        .map(|byte| byte.as_u64()?.try_into().ok());
    bytes.collect::<Option<_>>().map(OsString::from_vec)
}

fn origin_to(origin: &Origin) -> Value {
    match origin {
        Origin::Default => "default".into(),
        Origin::Environment => "environment".into(),
        Origin::CommandLine => "command line".into(),
        Origin::File(place) => {
            json!([text_to(place.file.as_os_str()), place.line, place.column])
        }
    }
}

fn origin_from(value: &Value) -> Option<Origin> {
    Some(match value.as_str() {
        Some("default") => Origin::Default,
        Some("environment") => Origin::Environment,
        Some("command line") => Origin::CommandLine,
        Some(_) => return None,
        None => Origin::File(Place {
            file: PathBuf::from(text_from(value.get(0)?)?),
            line: value.get(1)?.as_u64()?.try_into().ok()?,
            column: value.get(2)?.as_u64()?.try_into().ok()?,
        }),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn settings_arrive_as_they_were_sent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scoter.toml"), "threads = 8\n").unwrap();
        let arguments = ["app", "--bind=unix:/a", "--bind=unix:/b"];
        let variables = [("SCOTER_WORKERS", "4")];
        let mut sent = Settings::of(&arguments, &variables, folder.path()).unwrap();
        let chdir = sent
            .0
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
