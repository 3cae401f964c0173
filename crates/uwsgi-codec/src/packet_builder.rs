use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes};

use crate::encode::{encode, header_for};
use crate::{EncodeError, Header, Packet, PacketRef, Vars, VarsRef};

/// Builds a packet: the client's side of the protocol.
///
/// The decoder accepts whatever it builds, within the decoder's limits. Starts
/// as a request without vars: both modifiers 0.
///
/// A builder can be used again: [`clear`](PacketBuilder::clear) keeps its memory, and
/// [`as_bytes`](PacketBuilder::as_bytes) lends the packet without a copy.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{PacketBuilder, modifier};
///
/// let request = PacketBuilder::new()
///     .var("REQUEST_METHOD", "GET")?
///     .var("PATH_INFO", "/")?
///     .to_vec()?;
/// assert_eq!(
///     request,
///     b"\x00\x23\x00\x00\x0e\x00REQUEST_METHOD\x03\x00GET\x09\x00PATH_INFO\x01\x00/",
/// );
///
/// let ping = PacketBuilder::new().modifier1(modifier::PING).to_vec()?;
/// assert_eq!(ping, [100, 0, 0, 0]);
/// # Ok::<(), uwsgi_codec::EncodeError>(())
/// ```
///
/// Collecting pairs cannot fail at once; the first error is returned when the packet
/// is used:
///
/// ```
/// use uwsgi_codec::{EncodeError, PacketBuilder};
///
/// let request: PacketBuilder = [("PATH_INFO", "/"), ("", "?")].into_iter().collect();
/// assert_eq!(request.to_vec(), Err(EncodeError::EmptyKey));
/// ```
#[derive(Clone)]
pub struct PacketBuilder {
    // Invariant: a header, then `len` vars and nothing else, at most 65 535 bytes
    // of them. `datasize` in the header is written last, by `header`.
    wire: Vec<u8>,
    len: usize,
    // From `extend`, which cannot return it.
    error: Option<EncodeError>,
}

impl PacketBuilder {
    /// Starts a packet without vars, both modifiers 0.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(USUAL_CAPACITY)
    }

    /// Starts a packet as [`PacketBuilder::new`] does, with memory for a packet of
    /// `bytes`, header included. It grows if that is too little.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut wire = Vec::with_capacity(bytes.max(Header::LEN));
        wire.extend_from_slice(&Header::default().to_bytes());
        Self {
            wire,
            len: 0,
            error: None,
        }
    }

    /// Removes the vars; the modifiers and the memory stay.
    pub fn clear(&mut self) -> &mut Self {
        self.wire.truncate(Header::LEN);
        self.len = 0;
        self.error = None;
        self
    }

    /// Sets what the packet is for; see [`modifier`](crate::modifier).
    pub fn modifier1(&mut self, modifier1: u8) -> &mut Self {
        self.wire[0] = modifier1;
        self
    }

    /// Sets `modifier2`, whose meaning depends on `modifier1`.
    pub fn modifier2(&mut self, modifier2: u8) -> &mut Self {
        self.wire[3] = modifier2;
        self
    }

    /// Appends one pair.
    ///
    /// # Errors
    ///
    /// [`EmptyKey`](EncodeError::EmptyKey); [`KeyTooLong`](EncodeError::KeyTooLong),
    /// [`ValueTooLong`](EncodeError::ValueTooLong) and
    /// [`BlockTooLarge`](EncodeError::BlockTooLarge) beyond 65 535 bytes. The
    /// packet is then unchanged.
    pub fn var(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<&mut Self, EncodeError> {
        self.push(key.as_ref(), value.as_ref())?;
        Ok(self)
    }

    /// Appends pairs in order.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::var`], from the first pair that does not fit; the
    /// pairs before it stay.
    pub fn vars<K, V>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<&mut Self, EncodeError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        for (key, value) in pairs {
            self.push(key.as_ref(), value.as_ref())?;
        }
        Ok(self)
    }

    /// Returns the number of pairs, duplicates included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no pairs. The packet still has its header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the packet in its wire form, without a copy.
    ///
    /// # Errors
    ///
    /// [`MisleadingHeader`](EncodeError::MisleadingHeader): the packet would be
    /// mistaken for HTTP, TLS or another protocol; or the first error of
    /// [`extend`](Extend::extend).
    pub fn as_bytes(&mut self) -> Result<&[u8], EncodeError> {
        let header = self.header()?;
        self.wire[..Header::LEN].copy_from_slice(&header.to_bytes());
        Ok(&self.wire)
    }

    /// Appends the packet to `dst` in its wire form.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::as_bytes`], and [`NoRoom`](EncodeError::NoRoom) if `dst`
    /// has a fixed size. `dst` is then unchanged.
    pub fn encode(&self, dst: &mut impl BufMut) -> Result<(), EncodeError> {
        let header = self.header()?;
        encode(header, self.block(), dst)
    }

    /// Returns the packet in its wire form.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::as_bytes`].
    pub fn to_vec(&self) -> Result<Vec<u8>, EncodeError> {
        let header = self.header()?;
        let mut wire = self.wire.clone();
        wire[..Header::LEN].copy_from_slice(&header.to_bytes());
        Ok(wire)
    }

    /// Returns the packet as a decoder would return it.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::as_bytes`].
    pub fn build(&self) -> Result<Packet, EncodeError> {
        let header = self.header()?;
        let vars = Vars::from_checked(Bytes::copy_from_slice(self.block()), self.len);
        Ok(Packet { header, vars })
    }

    fn block(&self) -> &[u8] {
        &self.wire[Header::LEN..]
    }

    fn header(&self) -> Result<Header, EncodeError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        header_for(self.wire[0], self.block(), self.wire[3])
    }

    #[inline]
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        let (Ok(key_len), Ok(value_len)) = (u16::try_from(key.len()), u16::try_from(value.len()))
        else {
            return Err(self.refusal(key, value));
        };
        let field_bytes = 2 + key.len() + 2 + value.len();
        if key.is_empty() || self.block().len() + field_bytes > usize::from(u16::MAX) {
            return Err(self.refusal(key, value));
        }
        // One reservation: the four calls below then only copy.
        self.wire.reserve(field_bytes);
        self.wire.extend_from_slice(&key_len.to_le_bytes());
        self.wire.extend_from_slice(key);
        self.wire.extend_from_slice(&value_len.to_le_bytes());
        self.wire.extend_from_slice(value);
        self.len += 1;
        Ok(())
    }

    /// Says why a pair cannot be appended.
    #[cold]
    #[inline(never)]
    fn refusal(&self, key: &[u8], value: &[u8]) -> EncodeError {
        let longest = usize::from(u16::MAX);
        if key.is_empty() {
            EncodeError::EmptyKey
        } else if key.len() > longest {
            EncodeError::KeyTooLong { len: key.len() }
        } else if value.len() > longest {
            EncodeError::ValueTooLong { len: value.len() }
        } else {
            let len = self.block().len() + 2 + key.len() + 2 + value.len();
            EncodeError::BlockTooLarge { len }
        }
    }
}

impl Default for PacketBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Extend<(K, V)> for PacketBuilder {
    /// Appends pairs in order. From the first pair that does not fit, nothing is
    /// appended, and the packet cannot be used: every method that returns it returns
    /// the error of that pair. [`clear`](PacketBuilder::clear) forgets it.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        if self.error.is_none() {
            self.error = self.vars(pairs).err();
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, V)> for PacketBuilder {
    /// Starts a request with these vars; see [`extend`](Extend::extend) for what
    /// becomes of an error.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut builder = Self::new();
        builder.extend(pairs);
        builder
    }
}

impl From<PacketRef<'_>> for PacketBuilder {
    /// Starts from a packet as received: a proxy appends to it, and the last
    /// pair with a key wins.
    fn from(packet: PacketRef<'_>) -> Self {
        let block = packet.vars.as_bytes();
        let mut builder = Self::with_capacity(Header::LEN + block.len() + ROOM_FOR_A_FEW_VARS);
        builder
            .modifier1(packet.header.modifier1)
            .modifier2(packet.header.modifier2);
        builder.wire.extend_from_slice(block);
        builder.len = packet.vars.len();
        builder
    }
}

impl From<&Packet> for PacketBuilder {
    /// As from a [`PacketRef`].
    fn from(packet: &Packet) -> Self {
        packet.as_ref().into()
    }
}

impl fmt::Debug for PacketBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketBuilder")
            .field("modifier1", &self.wire[0])
            .field("modifier2", &self.wire[3])
            .field("vars", &VarsRef::from_checked(self.block(), self.len))
            .field("error", &self.error)
            .finish()
    }
}

/// Enough for most requests: nginx's packet for a browser's GET takes 842 bytes.
const USUAL_CAPACITY: usize = 1_024;

const ROOM_FOR_A_FEW_VARS: usize = 256;
