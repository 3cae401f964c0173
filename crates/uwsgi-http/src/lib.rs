// As tests its examples need the features.
#![cfg_attr(
    any(
        not(doctest),
        all(feature = "client", feature = "server", feature = "gateway")
    ),
    doc = include_str!("../README.md")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod address;
#[cfg(any(feature = "server", feature = "gateway"))]
mod causes;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "gateway")]
pub mod gateway;
#[cfg(any(feature = "client", feature = "server"))]
mod peek;
#[cfg(feature = "server")]
pub mod server;

pub use uwsgi_codec;

pub use crate::address::{Address, InvalidAddress};

/// An error of any type, of a body or a service that this crate knows nothing of.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
