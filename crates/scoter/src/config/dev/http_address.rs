//! Where `scoter dev` listens for browsers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// A loopback address, and a port, 0 for any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpAddress(pub(crate) SocketAddr);

/// Why a text is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum HttpAddressError {
    /// It is no address at all.
    #[error("expected an address such as 127.0.0.1:8000, [::1]:8000 or localhost:8000, or a port")]
    Malformed,
    /// Others could connect to it.
    #[error(
        "scoter dev shows tracebacks, so it listens on loopback addresses only, such as \
         127.0.0.1:8000 (in a container: give it its host's network, as docker run --network host \
         does, or forward a port to 127.0.0.1 inside it; for others to use the application: run \
         scoter without dev, behind nginx)"
    )]
    NotLoopback,
}

impl Default for HttpAddress {
    fn default() -> Self {
        Self(SocketAddr::new(LOCALHOST, PORT))
    }
}

impl FromStr for HttpAddress {
    type Err = HttpAddressError;

    /// Reads `host:port`, a host or a port, also as a URL.
    fn from_str(text: &str) -> Result<Self, HttpAddressError> {
        let text = text.strip_prefix("http://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, port) = split(text).ok_or(HttpAddressError::Malformed)?;
        let address = match host {
            "" | "localhost" => LOCALHOST,
            // A name could lead anywhere, and elsewhere tomorrow.
            host => host
                .parse()
                .map_err(|_| match is_name(host) && !is_digits(host) {
                    true => HttpAddressError::NotLoopback,
                    false => HttpAddressError::Malformed,
                })?,
        };
        if !address.is_loopback() {
            return Err(HttpAddressError::NotLoopback);
        }
        Ok(Self(SocketAddr::new(address, port)))
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Host, without brackets, and port.
fn split(text: &str) -> Option<(&str, u16)> {
    if text.is_empty() {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, number(port)?)),
            None => port.is_empty().then_some((host, PORT)),
        };
    }
    if let Some(port) = number(text) {
        return Some(("", port));
    }
    // An IPv6 address without brackets.
    if text
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_ipv6())
    {
        return Some((text, PORT));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, number(port)?)),
        None => Some((text, PORT)),
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| is_digits(text))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(host: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host.bytes().all(is_fine)
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The port of Django's and gunicorn's development servers, too.
const PORT: u16 = 8_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_taken_however_they_are_written() {
        for (text, expected) in [
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("127.1.2.3:80", "127.1.2.3:80"),
            ("127.0.0.1", "127.0.0.1:8000"),
            ("localhost", "127.0.0.1:8000"),
            ("localhost:9", "127.0.0.1:9"),
            ("8001", "127.0.0.1:8001"),
            (":8001", "127.0.0.1:8001"),
            ("0", "127.0.0.1:0"),
            ("[::1]:8001", "[::1]:8001"),
            ("[::1]", "[::1]:8000"),
            ("::1", "[::1]:8000"),
            ("http://127.0.0.1:8001/", "127.0.0.1:8001"),
        ] {
            let address: HttpAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn addresses_that_others_can_reach_are_refused() {
        for text in [
            "0.0.0.0:8000",
            "0.0.0.0",
            "[::]:8000",
            "192.168.0.1:8000",
            "[2001:db8::1]:8000",
            "::ffff:192.168.0.1",
            "example.com:8000",
            "devbox",
        ] {
            let refused = text.parse::<HttpAddress>();
            assert_eq!(refused, Err(HttpAddressError::NotLoopback), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for text in [
            "",
            "127.0.0.1:",
            "127.0.0.1:http",
            "127.0.0.1:99999",
            "99999",
            "127.0.0.1:+80",
            "[::1",
            "[::1]80",
            "unix:/run/a.sock",
            "https://127.0.0.1",
            "a b:80",
        ] {
            let refused = text.parse::<HttpAddress>();
            assert_eq!(refused, Err(HttpAddressError::Malformed), "{text}");
        }
    }
}
