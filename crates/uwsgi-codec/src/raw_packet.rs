use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::decode::{check_items, decode_raw_header, field_at};
use crate::encode::{encode, raw_header_for};
use crate::var::Ascii;
use crate::{DecodeError, EncodeError, Header, Limits, Packet, PacketRef, VarsRef};

/// One packet, whatever its block is, that borrows its bytes: for the modifiers
/// whose packets carry no vars, and for tools that show or pass on all packets.
///
/// [`modifier::contents`](crate::modifier::contents) says what a block is.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{Limits, RawPacketRef, modifier};
///
/// // A remote procedure call: add(2, 3).
/// let received = b"\xad\x0b\x00\x00\x03\x00add\x01\x002\x01\x003";
/// let limits = Limits::default();
///
/// let packet = RawPacketRef::decode(received, &limits)?.expect("complete");
/// assert_eq!(packet.header.modifier1, modifier::RPC);
/// assert!(packet.items(&limits)?.eq([&b"add"[..], b"2", b"3"]));
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RawPacketRef<'a> {
    /// The header.
    pub header: Header,
    /// The block, unchecked.
    pub block: &'a [u8],
}

impl<'a> RawPacketRef<'a> {
    /// Decodes one packet from the front of `src`; `None` if it is not complete yet.
    ///
    /// Ignores what follows the packet. Allocates nothing.
    ///
    /// # Errors
    ///
    /// All from the first four bytes: [`DecodeError::BlockTooLarge`] beyond `limits`,
    /// and those that name another protocol, except TLS: the header of a packet with
    /// code to evaluate (22) may be the same.
    pub fn decode(src: &'a [u8], limits: &Limits) -> Result<Option<Self>, DecodeError> {
        let Some(header) = decode_raw_header(src, limits)? else {
            return Ok(None);
        };
        let block = src.get(Header::LEN..header.packet_len());
        Ok(block.map(|block| Self { header, block }))
    }

    /// Reads the block as vars.
    ///
    /// # Errors
    ///
    /// As [`VarsRef::decode`].
    pub fn vars(&self, limits: &Limits) -> Result<VarsRef<'a>, DecodeError> {
        VarsRef::decode(self.block, limits)
    }

    /// Reads the block as an array: values without keys, each with its length in
    /// front. An item may be empty; uWSGI skips those.
    ///
    /// # Errors
    ///
    /// [`TooManyItems`](DecodeError::TooManyItems) beyond
    /// [`Limits::max_vars`](Limits::max_vars),
    /// [`ItemPastEnd`](DecodeError::ItemPastEnd) and
    /// [`TrailingByte`](DecodeError::TrailingByte).
    pub fn items(&self, limits: &Limits) -> Result<Items<'a>, DecodeError> {
        let left = check_items(self.block, limits)?;
        Ok(Items {
            block: self.block,
            at: 0,
            left,
        })
    }

    /// Returns the bytes of the packet on the wire: header and block.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub fn len(&self) -> usize {
        Header::LEN + self.block.len()
    }

    /// Returns the packet with a copy of its bytes.
    #[must_use]
    pub fn to_owned(&self) -> RawPacket {
        RawPacket {
            header: self.header,
            block: Bytes::copy_from_slice(self.block),
        }
    }

    /// Appends the packet to `dst` in its wire form.
    ///
    /// `datasize` is the length of the block, whatever this header says.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BlockTooLarge`] beyond 65 535 bytes;
    /// [`EncodeError::MisleadingHeader`]: the packet would be mistaken for HTTP or
    /// another protocol; [`EncodeError::NoRoom`]: `dst` has a fixed size. `dst` is then
    /// unchanged.
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        let header = raw_header_for(self.header.modifier1, self.block, self.header.modifier2)?;
        encode(header, self.block, dst)
    }
}

impl<'a> From<PacketRef<'a>> for RawPacketRef<'a> {
    fn from(packet: PacketRef<'a>) -> Self {
        Self {
            header: packet.header,
            block: packet.vars.as_bytes(),
        }
    }
}

impl fmt::Debug for RawPacketRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPacketRef")
            .field("header", &self.header)
            .field("block", &Ascii(self.block))
            .finish()
    }
}

/// One packet, whatever its block is, that owns its bytes.
///
/// # Examples
///
/// ```
/// use bytes::BytesMut;
/// use uwsgi_codec::{RawPacket, modifier};
///
/// // Asks uWSGI's cache for a key.
/// let mut sent = BytesMut::new();
/// RawPacket::new(modifier::CACHE, 0, "greeting")?.encode(&mut sent)?;
/// assert_eq!(sent, &b"\x6f\x08\x00\x00greeting"[..]);
///
/// // Calls a function: an array of its name and its arguments.
/// let call = RawPacket::from_items(modifier::RPC, 0, ["add", "2", "3"])?;
/// assert_eq!(call.block, &b"\x03\x00add\x01\x002\x01\x003"[..]);
/// # Ok::<(), uwsgi_codec::EncodeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RawPacket {
    /// The header.
    pub header: Header,
    /// The block, unchecked.
    pub block: Bytes,
}

impl RawPacket {
    /// Makes a packet of a block.
    ///
    /// # Errors
    ///
    /// [`BlockTooLarge`](EncodeError::BlockTooLarge) and
    /// [`MisleadingHeader`](EncodeError::MisleadingHeader), as
    /// [`RawPacketRef::encode`].
    pub fn new(modifier1: u8, modifier2: u8, block: impl Into<Bytes>) -> Result<Self, EncodeError> {
        let block = block.into();
        let header = raw_header_for(modifier1, &block, modifier2)?;
        Ok(Self { header, block })
    }

    /// Makes a packet of an array: values without keys.
    ///
    /// # Errors
    ///
    /// As [`RawPacket::new`], and [`EmptyItem`](EncodeError::EmptyItem) and
    /// [`ValueTooLong`](EncodeError::ValueTooLong) for an item.
    pub fn from_items<I: AsRef<[u8]>>(
        modifier1: u8,
        modifier2: u8,
        items: impl IntoIterator<Item = I>,
    ) -> Result<Self, EncodeError> {
        let mut block = Vec::new();
        for item in items {
            let item = item.as_ref();
            if item.is_empty() {
                return Err(EncodeError::EmptyItem);
            }
            let Ok(item_len) = u16::try_from(item.len()) else {
                return Err(EncodeError::ValueTooLong { len: item.len() });
            };
            let len = block.len() + 2 + item.len();
            if len > usize::from(u16::MAX) {
                return Err(EncodeError::BlockTooLarge { len });
            }
            block.extend_from_slice(&item_len.to_le_bytes());
            block.extend_from_slice(item);
        }
        Self::new(modifier1, modifier2, block)
    }

    /// Takes one packet from the front of `src`; `None` if it is not complete yet.
    ///
    /// Consumes exactly the packet. On `None` and on an error nothing is consumed. On
    /// `None`, once the header has arrived and is within `limits`, `src` has capacity
    /// for the rest of the packet.
    ///
    /// # Errors
    ///
    /// As [`RawPacketRef::decode`].
    pub fn decode(src: &mut BytesMut, limits: &Limits) -> Result<Option<Self>, DecodeError> {
        let Some(header) = decode_raw_header(src, limits)? else {
            return Ok(None);
        };
        let missing = header.packet_len().saturating_sub(src.len());
        if missing > 0 {
            src.reserve(missing);
            return Ok(None);
        }
        let mut packet = src.split_to(header.packet_len());
        packet.advance(Header::LEN);
        let block = packet.freeze();
        Ok(Some(Self { header, block }))
    }

    /// Borrows the packet.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> RawPacketRef<'_> {
        RawPacketRef {
            header: self.header,
            block: &self.block,
        }
    }

    /// Reads the block as vars; see [`RawPacketRef::vars`].
    ///
    /// # Errors
    ///
    /// As [`VarsRef::decode`].
    pub fn vars(&self, limits: &Limits) -> Result<VarsRef<'_>, DecodeError> {
        self.as_ref().vars(limits)
    }

    /// Reads the block as an array; see [`RawPacketRef::items`].
    ///
    /// # Errors
    ///
    /// As [`RawPacketRef::items`].
    pub fn items(&self, limits: &Limits) -> Result<Items<'_>, DecodeError> {
        self.as_ref().items(limits)
    }

    /// Returns the bytes of the packet on the wire: header and block.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Appends the packet to `dst` in its wire form.
    ///
    /// # Errors
    ///
    /// As [`RawPacketRef::encode`].
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        self.as_ref().encode(dst)
    }
}

impl From<Packet> for RawPacket {
    fn from(packet: Packet) -> Self {
        Self {
            header: packet.header,
            block: packet.vars.into_bytes(),
        }
    }
}

impl fmt::Debug for RawPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPacket")
            .field("header", &self.header)
            .field("block", &Ascii(&self.block))
            .finish()
    }
}

/// An iterator over the items of an array, created by [`RawPacketRef::items`].
#[derive(Clone, Debug, Default)]
pub struct Items<'a> {
    // Invariant: `left` items and nothing else from `at`.
    block: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (item, next) = field_at(self.block, self.at)?;
        self.at = next;
        self.left -= 1;
        Some(item)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

impl FusedIterator for Items<'_> {}
