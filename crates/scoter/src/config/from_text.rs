//! Parsing the texts of options.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::target::Target;
use super::units::{Percent, Size, Span};
use super::values::{
    BufferBody, LogApplication, MaxRss, Mode, ServerName, UriPath, UwsgiOpt, Workers,
};
use crate::control::{ControlLocation, MetricsAddress, UwsgiStatsAddress};
use crate::log::{AccessLogFormat, AccessLogTo, LogFormat, LogLevel, SampleRate, SkipRule};
use crate::net::Address;

/// A value that can be parsed from an option's text.
pub(super) trait FromText: Sized {
    /// Parses the text. The error says what is allowed.
    fn from_text(text: &OsStr) -> Result<Self, String>;

    /// The same text, with a relative path in it resolved against `folder`.
    fn relocated(text: &OsStr, _folder: &Path) -> OsString {
        text.to_owned()
    }
}

macro_rules! from_str {
    ($($type:ty),*) => {$(
        impl FromText for $type {
            fn from_text(text: &OsStr) -> Result<Self, String> {
                utf8(text)?.parse().map_err(|error| format!("{error}"))
            }
        }
    )*};
}

from_str!(
    AccessLogFormat,
    BufferBody,
    LogApplication,
    LogFormat,
    LogLevel,
    MaxRss,
    Mode,
    Percent,
    SampleRate,
    ServerName,
    Size,
    SkipRule,
    Span,
    UriPath,
    UwsgiOpt,
    Workers
);

/// A value whose option may limit it to a range.
pub(super) trait Ranged: FromText + PartialOrd + Display {
    /// What its text is.
    const WHAT: &'static str;
    /// Texts to imitate.
    const EXAMPLES: &'static str = "";
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl FromText for $type {
            fn from_text(text: &OsStr) -> Result<Self, String> {
                let text = utf8(text)?;
                // Rust would accept a sign.
                let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| is_number);
                number.ok_or_else(|| format!("expected {}", Self::WHAT))
            }
        }

        impl Ranged for $type {
            const WHAT: &'static str = "a whole number";
        }
    )*};
}

number!(u16, u32, u64, usize);

impl Ranged for Size {
    const WHAT: &'static str = "a size";
    const EXAMPLES: &'static str = ", such as 65536, 64K, 1M or 2G";
}

impl FromText for bool {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        let value = text.to_str().and_then(|text| text.parse().ok());
        value.ok_or_else(|| "expected true or false".to_owned())
    }
}

impl FromText for String {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        match utf8(text)? {
            "" => Err("expected a name or a number".to_owned()),
            text => Ok(text.to_owned()),
        }
    }
}

impl FromText for PathBuf {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        if text.is_empty() {
            return Err("expected a path".to_owned());
        }
        Ok(Self::from(text))
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        if text.is_empty() {
            return OsString::new();
        }
        folder.join(text).into_os_string()
    }
}

impl FromText for AccessLogTo {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        match Self::from_word(text) {
            Some(word) => Ok(word),
            None if text.is_empty() => {
                Err("expected on, off, stdout, stderr or the path of a file".to_owned())
            }
            None => Ok(Self::File(text.into())),
        }
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        match Self::from_word(text) {
            Some(_) => text.to_owned(),
            None => PathBuf::relocated(text, folder),
        }
    }
}

impl FromText for ControlLocation {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        match Self::from_word(text) {
            Some(word) => Ok(word),
            None if text.is_empty() => Err("expected auto, off or a path".to_owned()),
            None => Ok(Self::At(text.into())),
        }
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        match Self::from_word(text) {
            Some(_) => text.to_owned(),
            None => PathBuf::relocated(text, folder),
        }
    }
}

impl FromText for Address {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        let address = utf8(text)?.parse::<Self>();
        address.map_err(|error| error.to_string())
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        let path = text.to_str().and_then(|text| text.strip_prefix("unix:"));
        match path {
            None | Some("") => text.to_owned(),
            Some(name) if name.starts_with('@') => text.to_owned(),
            Some(path) => {
                let mut address = OsString::from("unix:");
                address.push(folder.join(path));
                address
            }
        }
    }
}

impl FromText for MetricsAddress {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        utf8(text)?.parse()
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        Address::relocated(text, folder)
    }
}

impl FromText for UwsgiStatsAddress {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        utf8(text)?.parse()
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        let address = text.to_str().and_then(|text| text.strip_prefix(Self::HTTP));
        match address {
            None => Address::relocated(text, folder),
            Some(address) => {
                let mut relocated = OsString::from(Self::HTTP);
                relocated.push(Address::relocated(OsStr::new(address), folder));
                relocated
            }
        }
    }
}

impl FromText for Target {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        match utf8(text)? {
            "" => Err("expected module:callable, path/to/file.py or config:file.ini".to_owned()),
            text => text.parse().map_err(|never| match never {}),
        }
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        match Self::from_text(text) {
            Ok(target) => target.relocated(folder).to_string().into(),
            Err(_) => text.to_owned(),
        }
    }
}

impl FromText for IpNet {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        let text = utf8(text)?;
        text.parse::<Self>()
            .or_else(|_| text.parse::<IpAddr>().map(Self::from))
            .map_err(|_| "expected a network such as 10.0.0.0/8 or one address".to_owned())
    }
}

fn utf8(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| "is not UTF-8".to_owned())
}
