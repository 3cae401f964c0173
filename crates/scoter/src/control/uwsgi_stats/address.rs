//! The address of `--uwsgi-stats`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::control::MetricsAddress;
use crate::net::Address;

/// Where uWSGI's statistics can be read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UwsgiStatsAddress {
    /// A TCP address or a Unix socket.
    pub(crate) address: Address,
    pub(crate) transport: Transport,
}

/// How the statistics are sent. Which of them a client expects shows only if it sends something, and one
/// that expects JSON alone never does: so the address says it. uWSGI has `stats-http` for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    /// To whoever connects, without a request.
    Plain,
    /// As the response to an HTTP request.
    Http,
}

impl UwsgiStatsAddress {
    /// What stands before an address with [`Transport::Http`], as in nginx's `proxy_pass`.
    pub(crate) const HTTP: &str = "http://";
}

impl FromStr for UwsgiStatsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, address) = match text.strip_prefix(Self::HTTP) {
            Some(address) => (
                Transport::Http,
                address.strip_suffix('/').unwrap_or(address),
            ),
            None => (Transport::Plain, text),
        };
        let MetricsAddress(address) = address.parse()?;
        Ok(Self { address, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_says_how_the_statistics_are_sent() {
        for (text, address, transport) in [
            ("127.0.0.1:1717", "127.0.0.1:1717", Transport::Plain),
            (
                "unix:/run/stats.sock",
                "unix:/run/stats.sock",
                Transport::Plain,
            ),
            ("unix:@stats", "unix:@stats", Transport::Plain),
            ("http://127.0.0.1:1717", "127.0.0.1:1717", Transport::Http),
            ("http://[::1]:1717/", "[::1]:1717", Transport::Http),
            (
                "http://unix:/run/stats.sock",
                "unix:/run/stats.sock",
                Transport::Http,
            ),
        ] {
            let expected = UwsgiStatsAddress {
                address: address.parse().unwrap(),
                transport,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (text, mistake) in [
            (":1717", "no host: write 127.0.0.1:1717"),
            ("http://:1717", "no host: write 127.0.0.1:1717"),
            ("/tmp/stats.sock", "write `unix:/tmp/stats.sock`"),
            ("https://127.0.0.1:1717", ""),
            ("fd://3", "expected host:port"),
        ] {
            let error = text.parse::<UwsgiStatsAddress>().unwrap_err();
            assert!(error.starts_with(mistake), "{text}: {error}");
        }
    }
}
