//! The values that options take.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::units::{Percent, Size};
use crate::log::{Template, TemplateError};

/// Makes an enum of words, each written as the text beside it.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ } or $expected:literal
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($expected),
                }
            }
        }
    };
}

words! {
    /// What happens to a request body beyond `--body-buffer`.
    BufferBody {
        /// The application starts at once and reads it from the socket.
        Auto = "auto",
        /// It is completed in an unnamed temporary file first.
        All = "all",
    } or "expected auto or all"
}

words! {
    /// Severities, least first.
    LogLevel {
        Trace = "trace",
        Debug = "debug",
        Info = "info",
        Warn = "warn",
        Error = "error",
    } or "expected trace, debug, info, warn or error"
}

words! {
    /// How messages on standard error look.
    LogFormat {
        /// A line for people.
        Text = "text",
        /// A JSON object per line.
        Json = "json",
    } or "expected text or json"
}

/// How many workers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// As many as there are CPUs for this process.
    Auto,
    /// Always this many.
    Fixed(u16),
    /// By load: more when requests wait, fewer when workers are idle.
    Range {
        /// At least 1.
        min: u16,
        /// More than `min`.
        max: u16,
    },
}

impl FromStr for Workers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected auto, a number from 1 to 1024, or a range of them such as 2..8";
        let number = |text: &str| {
            let number = text.trim().parse().ok();
            number.filter(|number| (1..=1024).contains(number))
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let Some((min, max)) = text.split_once("..") else {
            return number(text).map(Self::Fixed).ok_or(EXPECTED);
        };
        match (number(min), number(max)) {
            (Some(min), Some(max)) if min < max => Ok(Self::Range { min, max }),
            (Some(min), Some(max)) if min == max => Ok(Self::Fixed(min)),
            (Some(_), Some(_)) => Err("the first number of the range is larger than the second"),
            _ => Err(EXPECTED),
        }
    }
}

/// The memory a worker may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxRss {
    /// So much.
    Bytes(usize),
    /// So much of what the cgroup allows.
    Percent(Percent),
}

impl FromStr for MaxRss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const ZERO: &str = "must be more than zero; off sets no limit";
        if text.ends_with('%') {
            return match text.parse().map_err(|error| format!("{error}"))? {
                Percent(0) => Err(ZERO.to_owned()),
                percent => Ok(Self::Percent(percent)),
            };
        }
        match text.parse().map_err(|error| format!("{error}"))? {
            Size(0) => Err(ZERO.to_owned()),
            Size(bytes) => Ok(Self::Bytes(bytes)),
        }
    }
}

/// Permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

impl FromStr for Mode {
    type Err = &'static str;

    /// Reads `660`, `0660` and `0o660` as the same octal number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|mode| *mode <= 0o777 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .map(Self)
            .ok_or("expected octal permissions such as 660")
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

/// A path of the application, as it stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriPath(pub(crate) String);

impl FromStr for UriPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("expected a path of the application such as /health, percent-encoded, or off")
    }
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere; no line is made.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl AccessLogTo {
    /// What a word means that is not the name of a file.
    pub(super) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "on" | "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// What an access log line looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogFormat {
    /// nginx's combined format and the time taken.
    Combined,
    /// A JSON object.
    Json,
    /// A text with variables.
    Template(Template),
}

impl FromStr for AccessLogFormat {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Ok(match text {
            "combined" => Self::Combined,
            "json" => Self::Json,
            template => Self::Template(Template::parse(template)?),
        })
    }
}
