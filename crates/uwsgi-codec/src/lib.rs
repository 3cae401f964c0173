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
mod packet_builder;
#[cfg(feature = "tokio")]
mod tokio;
mod var;
mod vars;

pub use crate::error::{DecodeError, EncodeError};
pub use crate::header::Header;
pub use crate::limits::Limits;
pub use crate::packet::{Packet, PacketRef};
pub use crate::packet_builder::PacketBuilder;
#[cfg(feature = "tokio")]
pub use crate::tokio::{CodecError, UwsgiCodec};
pub use crate::var::Var;
pub use crate::vars::{IntoIter, Iter, Vars, VarsRef};
