//! What the commands of this package share. Nothing here is meant for other packages.
#![doc(hidden)]
#![forbid(unsafe_code)]

mod address;
mod escaped;

pub use crate::address::address;
pub use crate::escaped::Escaped;
