//! The values that options take.

use std::fmt;
use std::str::FromStr;

use super::units::{Percent, Size};

/// What happens to a request body larger than `--body-buffer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferBody {
    /// The application starts at once and reads it from the socket.
    Auto,
    /// It is completed in an unnamed temporary file first.
    All,
}

impl FromStr for BufferBody {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            _ => Err("expected auto or all"),
        }
    }
}

/// What the application logs and prints, and scoter wraps as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogApplication {
    /// `logging` and standard error.
    Stderr,
    /// Standard output, too.
    All,
}

impl FromStr for LogApplication {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stderr" => Ok(Self::Stderr),
            "all" => Ok(Self::All),
            _ => Err("expected stderr or all"),
        }
    }
}

/// An entry of `uwsgi.opt`, uWSGI's options as its module shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UwsgiOpt {
    pub(crate) key: String,
    /// `None` for a key alone.
    pub(crate) value: Option<String>,
}

impl FromStr for UwsgiOpt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err("expected KEY or KEY=VALUE");
        }
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

/// How many workers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// One for each CPU that this process may use.
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
    /// A number of bytes.
    Bytes(usize),
    /// A share of the cgroup's limit.
    Percent(Percent),
}

impl FromStr for MaxRss {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = if text.ends_with('%') {
            text.parse().map(Self::Percent)
        } else {
            text.parse().map(|Size(bytes)| Self::Bytes(bytes))
        };
        limit
            .ok()
            .filter(|limit| !matches!(limit, Self::Bytes(0) | Self::Percent(Percent(0))))
            .ok_or("expected a size such as 500M, or from 1% to 100% of the cgroup's limit")
    }
}

/// What a server is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerName(pub(crate) String);

impl FromStr for ServerName {
    type Err = &'static str;

    /// The first character is a letter, so that no name is an option or a process ID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_first = |letter: char| letter.is_ascii_alphabetic();
        let is_other = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
        if text.len() <= MAX_NAME && text.starts_with(is_first) && text.chars().all(is_other) {
            return Ok(Self(text.to_owned()));
        }
        Err("expected up to 32 letters, digits, '-', '_', '.' or '@', the first of them a letter")
    }
}

const MAX_NAME: usize = 32;

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
            .ok_or("expected an octal number from 0 to 777, such as 660")
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

/// A path within the application, as in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriPath(pub(crate) String);

impl FromStr for UriPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("expected a percent-encoded path such as /health")
    }
}
