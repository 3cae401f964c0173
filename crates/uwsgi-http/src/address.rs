//! Where a uwsgi server listens.

use std::fmt;
use std::net::SocketAddrV6;
use std::path::PathBuf;
use std::str::FromStr;

/// A Unix socket's path, or a host and port.
///
/// As text: a path with at least one slash, `unix:PATH`, or `HOST:PORT`; an IPv6 address
/// stands in brackets, `[::1]:3031`.
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
#[error("{0:?} is neither a path (with a slash, or unix:PATH) nor HOST:PORT (IPv6: [HOST]:PORT)")]
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
        match is_host_and_port(text) {
            true => Ok(Self::Tcp(text.to_owned())),
            false => Err(InvalidAddress(text.to_owned())),
        }
    }
}

/// RFC 3986, 3.2.2 and 3.2.3: an IPv6 address stands in brackets, a port is digits.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.contains([':', '[', ']']) {
        true => text.parse::<SocketAddrV6>().is_ok(),
        false => !host.is_empty() && !host.contains(char::is_whitespace),
    };
    // `parse` takes a sign.
    is_host && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
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
            ("127.0.0.1:80", Address::Tcp("127.0.0.1:80".into())),
            ("[::1]:3031", Address::Tcp("[::1]:3031".into())),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in [
            "",
            "::1:3031",
            "fe80::1:3031",
            "[::1:3031",
            "::1]:3031",
            "[localhost]:3031",
            "[127.0.0.1]:3031",
            "a:b:80",
            "h:+80",
            "h: 80",
            "h :80",
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
