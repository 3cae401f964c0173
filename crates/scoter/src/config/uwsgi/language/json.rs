//! Options in a JSON file.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::entry::{Entries, Entry, utf8};
use super::error::Mistake;
use super::magic::Text;

/// The options in the object with this name: texts, numbers, true and false, and lists of them.
pub(super) fn entries(text: &Text, section: &str) -> Result<Entries, (usize, Mistake)> {
    let file = File {
        source: utf8(text)?,
        line_ends: text
            .bytes
            .iter()
            .enumerate()
            .filter_map(|(at, byte)| (*byte == b'\n').then_some(at))
            .collect(),
        text,
    };
    let root: Object<'_> = file.parse(file.source)?;
    let mut members = root.0.iter().rev();
    // Of several with one name, the last.
    let object = members
        .find(|(name, _)| name == section)
        .map(|(_, value)| *value);
    let object = object.filter(|value| value.get().starts_with('{'));
    let Some(object) = object else {
        let section = section.to_owned();
        return Err((1, Mistake::NoObject { section }));
    };
    let mut entries = Entries::default();
    let options: Object<'_> = file.parse(object.get())?;
    for (key, value) in options.0 {
        match value.get().as_bytes() {
            [b'[', ..] => {
                let values: Vec<&RawValue> = file.parse(value.get())?;
                for value in values {
                    file.option(&key, value, &mut entries)?;
                }
            }
            _ => file.option(&key, value, &mut entries)?,
        }
    }
    Ok(entries)
}

struct File<'t> {
    source: &'t str,
    line_ends: Vec<usize>,
    text: &'t Text,
}

impl<'t> File<'t> {
    fn parse<T: Deserialize<'t>>(&self, json: &'t str) -> Result<T, (usize, Mistake)> {
        serde_json::from_str(json).map_err(|error| {
            let message = error.to_string();
            let line = self.line(json) + error.line().max(1) - 1;
            (self.text.line(line), Mistake::Syntax { message })
        })
    }

    fn option(
        &self,
        key: &str,
        value: &'t RawValue,
        entries: &mut Entries,
    ) -> Result<(), (usize, Mistake)> {
        let line = self.text.line(self.line(value.get()));
        let json = value.get();
        let value: Cow<'_, str> = match json.as_bytes() {
            [b'"', ..] => self.parse::<String>(json)?.into(),
            b"true" => "1".into(),
            b"false" | b"null" => "0".into(),
            [b'[' | b'{', ..] => {
                let skipped = format!("{key} is neither a text nor a number, so uWSGI ignores it");
                entries.skipped.push((line, skipped));
                return Ok(());
            }
            _ => json.into(),
        };
        entries.list.push(Entry {
            key: key.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            line,
        });
        Ok(())
    }

    /// The line of the source, counted from 1, in which a part of it begins.
    fn line(&self, part: &str) -> usize {
        let at = part.as_ptr().addr() - self.source.as_ptr().addr();
        self.line_ends.partition_point(|end| *end < at) + 1
    }
}

/// The members of an object in their order.
struct Object<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
