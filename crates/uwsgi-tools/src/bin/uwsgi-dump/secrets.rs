use std::fmt;

use uwsgi_tools::Escaped;

/// Whether values that let others in are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    Shown,
    /// Only their lengths are.
    Redacted,
}

/// A value as it may be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    Value(&'a [u8]),
    Redacted { len: usize },
}

impl Secrets {
    pub(crate) fn var<'a>(self, key: &[u8], value: &'a [u8]) -> Shown<'a> {
        match self {
            Self::Redacted if VARS.contains(&key) => Shown::Redacted { len: value.len() },
            _ => Shown::Value(value),
        }
    }

    /// Returns the value of a header as it may be shown.
    pub(crate) fn header<'a>(self, name: &[u8], value: &'a [u8]) -> Shown<'a> {
        match self {
            Self::Redacted if is_secret(name) => Shown::Redacted { len: value.len() },
            _ => Shown::Value(value),
        }
    }

    /// Splits a line of a head into what is shown of it and the length of what is not.
    pub(crate) fn line(self, line: &[u8]) -> (&[u8], Option<usize>) {
        let colon = line.iter().position(|&byte| byte == b':');
        match colon {
            Some(colon) if self == Self::Redacted && is_secret(&line[..colon]) => {
                let value = line[colon + 1..].trim_ascii();
                (&line[..=colon], Some(value.len()))
            }
            _ => (line, None),
        }
    }
}

fn is_secret(header: &[u8]) -> bool {
    HEADERS.iter().any(|name| name.eq_ignore_ascii_case(header))
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{}", Escaped(value)),
            Self::Redacted { len } => write!(f, "({len} bytes redacted)"),
        }
    }
}

const VARS: &[&[u8]] = &[
    b"HTTP_AUTHORIZATION",
    b"HTTP_COOKIE",
    b"HTTP_PROXY_AUTHORIZATION",
];

const HEADERS: &[&[u8]] = &[b"Set-Cookie"];
