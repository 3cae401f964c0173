//! What the commands of this package share. Nothing here is meant for other packages.
#![doc(hidden)]
#![forbid(unsafe_code)]

mod address;
mod escaped;
mod seconds;

pub use crate::address::address;
pub use crate::escaped::Escaped;
pub use crate::seconds::seconds;
