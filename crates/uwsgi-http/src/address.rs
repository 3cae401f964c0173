//! Where a uwsgi server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A Unix socket's path, or a host and port.
///
/// As text: a path with at least one slash, `unix:PATH`, or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP socket, `HOST:PORT`; a name is looked up for each connection.
    Tcp(String),
}

/// A text that is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a path (with a slash, or unix:PATH) nor HOST:PORT")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(InvalidAddress(text.to_owned())),
                path => Ok(Self::Unix(path.into())),
            };
        }
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.to_owned()))
            }
            _ => Err(InvalidAddress(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_path_or_a_host_with_a_port() {
        for (text, address) in [
            ("unix:scoter.sock", Address::Unix("scoter.sock".into())),
            ("/run/a:1.sock", Address::Unix("/run/a:1.sock".into())),
            ("./a.sock", Address::Unix("./a.sock".into())),
            ("localhost:3031", Address::Tcp("localhost:3031".into())),
            ("[::1]:3031", Address::Tcp("[::1]:3031".into())),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in [
            "",
            "unix:",
            "a.sock",
            ":3031",
            "localhost:",
            "localhost:65536",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
