use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::{DecodeError, EncodeError, Limits, Packet};

/// Packets for tokio-util's [`Framed`](tokio_util::codec::Framed).
///
/// A request body follows its packet without framing: take one packet, then call
/// [`Framed::into_parts`](tokio_util::codec::Framed::into_parts).
///
/// # Examples
///
/// ```
/// use tokio::io::AsyncReadExt;
/// use tokio_stream::StreamExt;
/// use tokio_util::codec::Framed;
/// use uwsgi_codec::UwsgiCodec;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (mut peer, stream) = tokio::io::duplex(64);
/// # tokio::io::AsyncWriteExt::write_all(&mut peer, b"\0\x06\0\0\x01\0k\x01\0vbody").await?;
/// # drop(peer);
/// let mut framed = Framed::new(stream, UwsgiCodec::default());
/// let packet = framed.next().await.ok_or("no packet")??;
/// assert_eq!(packet.vars.get("k"), Some(&b"v"[..]));
///
/// let parts = framed.into_parts();
/// let mut body = Vec::new();
/// (&parts.read_buf[..]).chain(parts.io).read_to_end(&mut body).await?;
/// assert_eq!(body, b"body");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct UwsgiCodec {
    limits: Limits,
}

impl UwsgiCodec {
    /// Creates a codec that decodes within `limits`.
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
    /// The peer sent something that is not a packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The protocol cannot express what the caller wants to send.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The stream failed, or ended within a packet.
    #[error(transparent)]
    Io(#[from] io::Error),
}
