mod codec_error;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{Limits, Packet, PacketBuilder, PacketRef, content_length, needed};

pub use self::codec_error::CodecError;

/// What arrives on a connection, in this order: a packet, the pieces of the body, the
/// end of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The packet of a request.
    Packet(Packet),
    /// A piece of the request body, never empty. A request without a body has none.
    Body(Bytes),
    /// The request is complete: as many bytes have arrived as `CONTENT_LENGTH` says.
    End,
}

/// Requests for tokio-util's [`Framed`](tokio_util::codec::Framed): packets, and the
/// bodies that follow them without framing of their own.
///
/// Decoding returns [`Event`]s. After [`Event::End`] nothing more is decoded: one
/// request per connection is the rule, and what follows a body is not a packet just
/// because it looks like one. On a connection that both sides have agreed to keep, call
/// [`next_packet`](UwsgiCodec::next_packet) once the response has been sent.
///
/// Encoding takes packets, owned, borrowed or as a [`PacketBuilder`], and events: a
/// proxy passes on what it receives.
///
/// # Examples
///
/// ```
/// use tokio_stream::StreamExt;
/// use tokio_util::codec::Framed;
/// use uwsgi_codec::{Event, UwsgiCodec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (mut peer, stream) = tokio::io::duplex(64);
/// # let request = b"\0\x13\0\0\x0e\0CONTENT_LENGTH\x01\x004body";
/// # tokio::io::AsyncWriteExt::write_all(&mut peer, request).await?;
/// let mut framed = Framed::new(stream, UwsgiCodec::default());
/// let mut body = Vec::new();
/// while let Some(event) = framed.next().await {
///     match event? {
///         Event::Packet(packet) => assert_eq!(packet.vars.len(), 1),
///         Event::Body(piece) => body.extend_from_slice(&piece),
///         Event::End => break,
///     }
/// }
/// assert_eq!(body, b"body");
/// // The response is HTTP: write it to `framed.get_mut()`.
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct UwsgiCodec {
    limits: Limits,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Packet,
    /// `left` bytes of a body of `len` are still to come.
    Body {
        left: u64,
        len: u64,
    },
    Ended,
}

impl UwsgiCodec {
    /// Creates a codec that decodes within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Packet,
        }
    }

    /// Expects another packet, after [`Event::End`]. Before that it does nothing, so that
    /// a body is never taken for a packet.
    ///
    /// KEEPALIVE.md says when a connection may be kept. Above all, nothing may have
    /// arrived before the response was sent:
    /// [`Framed::read_buffer`](tokio_util::codec::Framed::read_buffer) is empty.
    pub fn next_packet(&mut self) {
        if let State::Ended = self.state {
            self.state = State::Packet;
        }
    }
}

impl Decoder for UwsgiCodec {
    type Item = Event;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Event>, CodecError> {
        match self.state {
            State::Packet => {
                let Some(packet) = Packet::decode(src, &self.limits)? else {
                    return Ok(None);
                };
                let len = content_length(packet.vars.as_ref())?.unwrap_or(0);
                self.state = State::Body { left: len, len };
                Ok(Some(Event::Packet(packet)))
            }
            State::Body { left: 0, .. } => {
                self.state = State::Ended;
                Ok(Some(Event::End))
            }
            State::Body { .. } if src.is_empty() => Ok(None),
            State::Body { left, len } => {
                let piece_len = usize::try_from(left).map_or(src.len(), |left| left.min(src.len()));
                let piece = src.split_to(piece_len).freeze();
                let left = left - piece_len as u64;
                self.state = State::Body { left, len };
                Ok(Some(Event::Body(piece)))
            }
            State::Ended => Ok(None),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Event>, CodecError> {
        if let Some(event) = self.decode(src)? {
            return Ok(Some(event));
        }
        match self.state {
            State::Packet if !src.is_empty() => Err(CodecError::IncompletePacket {
                have: src.len(),
                need: src.len() + needed(src),
            }),
            State::Body { left, len } => Err(CodecError::IncompleteBody {
                have: len - left,
                need: len,
            }),
            State::Packet | State::Ended => Ok(None),
        }
    }
}

impl Encoder<PacketRef<'_>> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: PacketRef<'_>, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

impl Encoder<&Packet> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: &Packet, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

impl Encoder<Packet> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: Packet, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

impl Encoder<&PacketBuilder> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: &PacketBuilder, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

impl Encoder<PacketBuilder> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, packet: PacketBuilder, dst: &mut BytesMut) -> Result<(), CodecError> {
        Ok(packet.encode(dst)?)
    }
}

/// A proxy's way: the body is passed on as it is, and the end writes nothing.
impl Encoder<Event> for UwsgiCodec {
    type Error = CodecError;

    fn encode(&mut self, event: Event, dst: &mut BytesMut) -> Result<(), CodecError> {
        match event {
            Event::Packet(packet) => packet.encode(dst)?,
            Event::Body(piece) => {
                dst.reserve(piece.len());
                dst.put(piece);
            }
            Event::End => {}
        }
        Ok(())
    }
}
