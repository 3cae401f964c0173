use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::{DecodeError, EncodeError, Limits, Packet};

/// Packets for `tokio_util`'s `Framed`.
///
/// A request body follows its packet without a frame of its own: take one
/// packet, then the rest of the stream and of the read buffer with
/// `Framed::into_parts`.
#[derive(Clone, Debug, Default)]
pub struct UwsgiCodec {
    limits: Limits,
}

impl UwsgiCodec {
    /// Makes a codec that decodes within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl Decoder for UwsgiCodec {
    type Item = Packet;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Packet>, CodecError> {
        Ok(Packet::decode(src, &self.limits)?)
    }
}

impl Encoder<Packet> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: Packet, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

/// Why a stream of packets ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer sent something else.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The caller asked for something that the protocol cannot say.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The stream failed, or ended within a packet.
    #[error(transparent)]
    Io(#[from] io::Error),
}
