use std::error::Error;
use std::io;
use std::time::Duration;

use uwsgi_codec::EncodeError;
use uwsgi_codec::http::MapError;
use uwsgi_http::Address;
use uwsgi_http::client::ClientError;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Url(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Data(io::Error),
    #[error("{}{}", causes(.0), hint(.0))]
    Client(ClientError),
    #[error("not done after {limit:?}, with {received} bytes received")]
    Late { limit: Duration, received: u64 },
    #[error("the server answered {0}")]
    Status(u16),
    #[error("cannot write the reply: {0}")]
    Output(io::Error),
    #[error(
        "the reply is binary, and a terminal may obey it: --output - writes it all the same, --output FILE to a file"
    )]
    Binary,
    #[error("{0}")]
    Ping(PingFailure),
}

/// Why a ping was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PingFailure {
    #[error("the server closed the connection without an answer: it knows no ping")]
    NoAnswer,
    #[error(
        "the server answered by HTTP and not by a packet: it takes the ping for a request, or is an HTTP server"
    )]
    Http,
    #[error("the answer is no ping: {0}")]
    Other(String),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
}

impl Failure {
    /// Returns the exit code that curl has for it (curl(1), "Exit codes").
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Url(_) => 3,
            Self::Data(_) => 26,
            Self::Client(error) => match error {
                ClientError::Request(_) => 3,
                ClientError::Encode(_) => 2,
                ClientError::Connect { .. } => 7,
                ClientError::Timeout { .. } => 28,
                ClientError::NoReply { error: None } => 52,
                ClientError::Head(_) | ClientError::Tunnel { .. } => 8,
                ClientError::CutShort {
                    expected: Some(_), ..
                } => 18,
                ClientError::RequestBody(_) | ClientError::RequestBodyLength { .. } => 26,
                _ => 56,
            },
            Self::Late { .. } => 28,
            Self::Status(_) => 22,
            Self::Output(_) | Self::Binary => 23,
            Self::Ping(PingFailure::NoAnswer) => 52,
            Self::Ping(PingFailure::Http | PingFailure::Other(_)) => 8,
            Self::Ping(PingFailure::Broken(_)) => 56,
        }
    }

    /// Returns whether it is not worth a word: nobody reads the output any more.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::Usage(format!("the variables do not fit in a packet: {error}"))
    }
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Encode(error) => error.into(),
            MapError::Target | MapError::PathEncoding { .. } | MapError::PathNul => {
                Self::Url(error.to_string())
            }
            MapError::PathAboveRoot | MapError::Host => Self::Url(error.to_string()),
            error => Self::Usage(error.to_string()),
        }
    }
}

/// The message of an error with those of its causes.
fn causes(error: &ClientError) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message = format!("{message}: {error}");
        source = error.source();
    }
    message
}

/// What to do about an error whose text does not say it.
fn hint(error: &ClientError) -> &'static str {
    match error {
        // unix(7), "Pathname socket ownership and permissions".
        ClientError::Connect {
            address: Address::Unix(_),
            error,
        } if error.kind() == io::ErrorKind::PermissionDenied => {
            ": you need write permission on the socket and search permission on its directories"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Not as a command: a test that root runs is denied nothing.
    #[test]
    fn denied_socket_says_which_permissions_are_needed() {
        for (address, hint) in [
            (
                Address::Unix("/run/a.sock".into()),
                ": you need write permission on the socket and search permission on its directories",
            ),
            (Address::Tcp("127.0.0.1:80".into()), ""),
        ] {
            let error = io::ErrorKind::PermissionDenied.into();
            let failure = Failure::from(ClientError::Connect {
                address: address.clone(),
                error,
            });
            assert_eq!(
                failure.to_string(),
                format!("no connection to {address}: permission denied{hint}")
            );
        }
    }
}
