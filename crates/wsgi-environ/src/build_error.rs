use pyo3::PyErr;
use thiserror::Error;
use uwsgi_codec::EncodeError;

/// Why [`EnvironBuilder::build_from_pairs`](crate::EnvironBuilder::build_from_pairs) built no
/// `environ`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No packet holds these pairs: together they have more than 65,535 bytes, or a name is
    /// empty. [`EncodeError::http_status`] is the status for the client.
    #[error(transparent)]
    Pairs(#[from] EncodeError),
    /// `MemoryError`.
    #[error(transparent)]
    Python(#[from] PyErr),
}
