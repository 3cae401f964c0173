#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod decode;
mod encode;
mod error;
mod header;
mod limits;
pub mod modifier;
mod packet;
#[cfg(feature = "tokio")]
mod tokio;
mod vars;

pub use crate::encode::PacketBuilder;
pub use crate::error::{DecodeError, EncodeError};
pub use crate::header::Header;
pub use crate::limits::Limits;
pub use crate::packet::{Packet, PacketRef};
#[cfg(feature = "tokio")]
pub use crate::tokio::{CodecError, UwsgiCodec};
pub use crate::vars::{IntoIter, Iter, Var, Vars, VarsRef};
