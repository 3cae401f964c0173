#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod content_length;
mod decode;
mod decode_error;
mod encode;
mod encode_error;
mod foreign;
mod header;
#[cfg(feature = "http")]
pub mod http;
mod limits;
pub mod modifier;
mod packet;
mod packet_builder;
mod raw_packet;
#[cfg(feature = "std")]
mod read;
#[cfg(feature = "tokio")]
mod tokio;
mod var;
mod vars;

pub use bytes;

pub use crate::content_length::{ContentLength, ContentLengthError, content_length};
pub use crate::decode_error::DecodeError;
pub use crate::encode_error::EncodeError;
pub use crate::header::{Header, needed};
pub use crate::limits::Limits;
pub use crate::packet::{Packet, PacketRef};
pub use crate::packet_builder::PacketBuilder;
pub use crate::raw_packet::{Items, RawPacket, RawPacketRef};
#[cfg(feature = "std")]
pub use crate::read::{ReadError, read_packet, read_raw_packet};
#[cfg(feature = "tokio")]
pub use crate::tokio::{CodecError, Event, UwsgiCodec};
pub use crate::var::Var;
pub use crate::vars::{IntoIter, Iter, Vars, VarsRef};
