use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// Where a packet, a reply or an error is from.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    /// A byte of a file.
    File { file: String, offset: u64 },
    /// A request of a connection; both are numbered from 1.
    Connection {
        #[serde(serialize_with = "jiff_text")]
        time: Timestamp,
        connection: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<u64>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, offset } => write!(f, "{file}, byte {offset}"),
            Self::Connection {
                time,
                connection,
                request,
            } => {
                write!(f, "{time:.3} #{connection}")?;
                match request {
                    Some(request) => write!(f, ".{request}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn jiff_text<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.6}"))
}
