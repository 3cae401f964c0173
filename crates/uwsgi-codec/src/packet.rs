use bytes::{Buf, BufMut, BytesMut};

use crate::decode::{check_vars, decode_header};
use crate::encode::{encode, header_for};
use crate::{DecodeError, EncodeError, Header, Limits, Var, Vars, VarsRef};

/// One packet that borrows its bytes.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{Limits, PacketRef, modifier};
///
/// let received = b"\x00\x0e\x00\x00\x09\x00HTTP_HOST\x01\x00abody";
///
/// let packet = PacketRef::decode(received, &Limits::default())?.expect("complete");
/// assert_eq!(packet.header.modifier1, modifier::WSGI);
/// assert_eq!(packet.vars.get("HTTP_HOST"), Some(&b"a"[..]));
/// assert_eq!(&received[packet.len()..], b"body");
///
/// // An incomplete packet is not an error.
/// assert_eq!(PacketRef::decode(&received[..9], &Limits::default())?, None);
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PacketRef<'a> {
    /// The header.
    pub header: Header,
    /// The vars; empty if `datasize` is 0, as in a ping.
    pub vars: VarsRef<'a>,
}

impl<'a> PacketRef<'a> {
    /// Decodes one packet from the front of `src`; `None` if it is not
    /// complete yet.
    ///
    /// Ignores what follows the packet, such as the request body;
    /// [`PacketRef::len`] says where that begins. The var block is checked only
    /// once it is complete, so the result never depends on how the bytes were
    /// split. Allocates nothing.
    ///
    /// # Errors
    ///
    /// From the first four bytes: [`DecodeError::PlainHttp`],
    /// [`DecodeError::HttpReply`], [`DecodeError::TlsHandshake`],
    /// [`DecodeError::ProxyHeader`], [`DecodeError::Ssh`], and
    /// [`DecodeError::BlockTooLarge`] beyond `limits`. From the complete block:
    /// [`DecodeError::TooManyVars`] beyond `limits`, and every malformation.
    pub fn decode(src: &'a [u8], limits: &Limits) -> Result<Option<Self>, DecodeError> {
        Self::decode_with(src, limits, |_| {})
    }

    /// Decodes one packet as [`PacketRef::decode`] does, and passes its vars to
    /// `see` while it checks them.
    ///
    /// Iterating over a block takes as long as checking it, so this saves time if
    /// you need some vars of every packet. `see` receives them in the order of the
    /// block, duplicates included, once the block is complete. If an error is
    /// returned, discard them: `see` has then received only the vars before it.
    ///
    /// # Errors
    ///
    /// As [`PacketRef::decode`].
    pub fn decode_with(
        src: &'a [u8],
        limits: &Limits,
        see: impl FnMut(Var<'a>),
    ) -> Result<Option<Self>, DecodeError> {
        let Some(header) = decode_header(src, limits)? else {
            return Ok(None);
        };
        let Some(block) = src.get(Header::LEN..header.packet_len()) else {
            return Ok(None);
        };
        let len = check_vars(block, limits, see)?;
        let vars = VarsRef::from_checked(block, len);
        Ok(Some(Self { header, vars }))
    }

    /// Returns the bytes of the packet on the wire: header and block.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub fn len(&self) -> usize {
        Header::LEN + self.vars.as_bytes().len()
    }

    /// Returns the packet with a copy of its bytes.
    #[must_use]
    pub fn to_owned(&self) -> Packet {
        Packet {
            header: self.header,
            vars: self.vars.to_owned(),
        }
    }

    /// Appends the packet to `dst` in its wire form.
    ///
    /// `datasize` is the length of the vars, whatever this header says.
    ///
    /// # Errors
    ///
    /// [`EncodeError::MisleadingHeader`]: after a change of the modifiers the
    /// packet would be mistaken for HTTP, TLS or another protocol.
    /// [`EncodeError::NoRoom`]: `dst` has a fixed size. `dst` is then unchanged.
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        let block = self.vars.as_bytes();
        let header = header_for(self.header.modifier1, block, self.header.modifier2)?;
        encode(header, block, dst)
    }
}

/// One packet that owns its bytes, without a copy: a slice of the received buffer.
///
/// # Examples
///
/// ```
/// use bytes::BytesMut;
/// use uwsgi_codec::{Limits, Packet};
///
/// let mut received = BytesMut::from(&b"\x00\x0e\x00\x00\x09\x00HTTP_HO"[..]);
/// assert_eq!(Packet::decode(&mut received, &Limits::default())?, None);
///
/// received.extend_from_slice(b"ST\x01\x00abody");
/// let packet = Packet::decode(&mut received, &Limits::default())?.expect("complete");
/// assert_eq!(packet.vars.get("HTTP_HOST"), Some(&b"a"[..]));
/// assert_eq!(received, "body");
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The header.
    pub header: Header,
    /// The vars; empty if `datasize` is 0, as in a ping.
    pub vars: Vars,
}

impl Packet {
    /// Takes one packet from the front of `src`; `None` if it is not complete
    /// yet.
    ///
    /// Consumes exactly the packet: the request body stays in `src`. On `None`
    /// and on an error nothing is consumed. On `None`, once the header has arrived
    /// and is within `limits`, `src` has capacity for the rest of the packet.
    ///
    /// # Errors
    ///
    /// As [`PacketRef::decode`].
    pub fn decode(src: &mut BytesMut, limits: &Limits) -> Result<Option<Self>, DecodeError> {
        Self::decode_with(src, limits, |_| {})
    }

    /// Takes one packet from the front of `src` as [`Packet::decode`] does, and
    /// passes its vars to `see`; see [`PacketRef::decode_with`].
    ///
    /// # Errors
    ///
    /// As [`PacketRef::decode`].
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use uwsgi_codec::{Limits, Packet};
    ///
    /// let mut received = BytesMut::from(&b"\x00\x0e\x00\x00\x09\x00HTTP_HOST\x01\x00a"[..]);
    /// let mut host = 0..0;
    /// let packet = Packet::decode_with(&mut received, &Limits::default(), |var| {
    ///     if var.key == b"HTTP_HOST" {
    ///         host = var.offset..var.offset + var.value.len();
    ///     }
    /// })?
    /// .expect("complete");
    /// assert_eq!(&packet.vars.as_bytes()[host], b"a");
    /// # Ok::<(), uwsgi_codec::DecodeError>(())
    /// ```
    pub fn decode_with(
        src: &mut BytesMut,
        limits: &Limits,
        see: impl FnMut(Var<'_>),
    ) -> Result<Option<Self>, DecodeError> {
        let Some(header) = decode_header(src, limits)? else {
            return Ok(None);
        };
        let Some(block) = src.get(Header::LEN..header.packet_len()) else {
            src.reserve(header.packet_len() - src.len());
            return Ok(None);
        };
        let len = check_vars(block, limits, see)?;
        let mut packet = src.split_to(header.packet_len());
        packet.advance(Header::LEN);
        Ok(Some(Self {
            header,
            vars: Vars::from_checked(packet.freeze(), len),
        }))
    }

    /// Borrows the packet.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> PacketRef<'_> {
        PacketRef {
            header: self.header,
            vars: self.vars.as_ref(),
        }
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
    /// As [`PacketRef::encode`].
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        self.as_ref().encode(dst)
    }
}
