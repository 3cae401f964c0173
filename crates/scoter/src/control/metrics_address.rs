//! The address of `--metrics`.

use std::str::FromStr;

use crate::net::{Address, AddressError};

/// Where the metrics can be read: a TCP address or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsAddress(pub(crate) Address);

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Address::Inherited(_)) | Err(AddressError::NoPort | AddressError::NoDescriptor) => {
                Err(EXPECTED.to_owned())
            }
            Err(AddressError::NoHost { port }) => Err(format!(
                "no host: write 127.0.0.1:{port}, or 0.0.0.0:{port} with --metrics-allow"
            )),
            Err(error) => Err(error.to_string()),
            Ok(address) => Ok(Self(address)),
        }
    }
}

const EXPECTED: &str = "expected host:port, unix:/path or unix:@name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_can_be_bound_are_taken() {
        for (text, mistake) in [
            ("127.0.0.1:9100", None),
            ("[::1]:0", None),
            ("unix:/run/m.sock", None),
            ("unix:@m", None),
            ("fd://3", Some(EXPECTED)),
            ("fd://x", Some(EXPECTED)),
            ("localhost", Some(EXPECTED)),
            (
                ":9100",
                Some("no host: write 127.0.0.1:9100, or 0.0.0.0:9100 with --metrics-allow"),
            ),
            ("/m.sock", Some("write `unix:/m.sock` for a Unix socket")),
        ] {
            let parsed = text.parse::<MetricsAddress>();
            assert_eq!(parsed.err().as_deref(), mistake, "{text}");
        }
    }
}
