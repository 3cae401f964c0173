use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;

use crate::encode::{encode, header_for};
use crate::{EncodeError, Header, Packet, PacketRef, VarsRef};

/// Builds a packet: the client's side of the protocol.
///
/// The decoder accepts whatever it builds, within the decoder's limits. Starts
/// as a request without vars: both modifiers 0.
///
/// A builder can be used again: [`clear`](PacketBuilder::clear) keeps its memory, and
/// [`as_bytes`](PacketBuilder::as_bytes) and [`as_packet`](PacketBuilder::as_packet) lend
/// the packet without a copy.
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
    // Invariant: before `end` there are a header and `len` vars, of at most 65 535
    // bytes. `datasize` in the header is written last, by `header`. Behind `end`
    // are bytes to be overwritten: appending to what is initialised takes half as
    // long as growing a `Vec` by four slices for each var.
    wire: Vec<u8>,
    end: usize,
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
    /// `bytes`, header included, at most the largest. It grows if that is too little.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            wire: vec![0; bytes.clamp(Header::LEN, MAX_CAPACITY)],
            end: Header::LEN,
            len: 0,
            error: None,
        }
    }

    /// Removes the vars; the modifiers and the memory stay.
    #[inline]
    pub fn clear(&mut self) -> &mut Self {
        self.end = Header::LEN;
        self.len = 0;
        self.error = None;
        self
    }

    /// Sets what the packet is for; see [`modifier`](crate::modifier).
    #[inline]
    pub fn modifier1(&mut self, modifier1: u8) -> &mut Self {
        self.wire[0] = modifier1;
        self
    }

    /// Sets `modifier2`, whose meaning depends on `modifier1`.
    #[inline]
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
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no pairs. The packet still has its header.
    #[inline]
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
        Ok(&self.wire[..self.end])
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
        let mut wire = self.wire[..self.end].to_vec();
        wire[..Header::LEN].copy_from_slice(&header.to_bytes());
        Ok(wire)
    }

    /// Returns the packet as a decoder would return it, without a copy.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::as_bytes`].
    pub fn as_packet(&self) -> Result<PacketRef<'_>, EncodeError> {
        let header = self.header()?;
        let vars = VarsRef::from_checked(self.block(), self.len);
        Ok(PacketRef { header, vars })
    }

    /// Returns the packet as a decoder would return it, with a copy of its bytes.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::as_bytes`].
    pub fn build(&self) -> Result<Packet, EncodeError> {
        Ok(self.as_packet()?.to_owned())
    }

    fn block(&self) -> &[u8] {
        &self.wire[Header::LEN..self.end]
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
        let end = self.end + 2 + key.len() + 2 + value.len();
        if key.is_empty() || end - Header::LEN > usize::from(u16::MAX) {
            return Err(self.refusal(key, value));
        }
        if end > self.wire.len() {
            self.grow(end);
        }
        let (to_key, to_value) = self.wire[self.end..end].split_at_mut(2 + key.len());
        put(key_len, key, to_key);
        put(value_len, value, to_value);
        self.end = end;
        self.len += 1;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        let bytes = bytes.max(2 * self.wire.len());
        self.wire.resize(bytes.min(MAX_CAPACITY), 0);
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
        builder.end = Header::LEN + block.len();
        builder.wire[Header::LEN..builder.end].copy_from_slice(block);
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

/// Writes a length and as many bytes, which fill the destination.
#[inline]
fn put(len: u16, bytes: &[u8], dst: &mut [u8]) {
    let (to_len, to_bytes) = dst.split_at_mut(2);
    to_len.copy_from_slice(&len.to_le_bytes());
    copy(bytes, to_bytes);
}

/// Copies a slice to one of the same length.
///
/// Most keys and values are short, and a call of `memcpy` takes as long as everything
/// else that is done for one: two copies of a fixed size, which may overlap, do
/// without.
#[inline]
fn copy(src: &[u8], dst: &mut [u8]) {
    match src.len() {
        0 => {}
        1..4 => {
            for (to, from) in dst.iter_mut().zip(src) {
                *to = *from;
            }
        }
        4..8 => copy_both_ends::<4>(src, dst),
        8..16 => copy_both_ends::<8>(src, dst),
        16..32 => copy_both_ends::<16>(src, dst),
        32..=64 => copy_both_ends::<32>(src, dst),
        _ => dst.copy_from_slice(src),
    }
}

/// Copies a slice of `N` to `2 * N` bytes to one of the same length.
#[inline]
fn copy_both_ends<const N: usize>(src: &[u8], dst: &mut [u8]) {
    if let (Some(from), Some(to)) = (src.first_chunk::<N>(), dst.first_chunk_mut()) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (src.last_chunk::<N>(), dst.last_chunk_mut()) {
        *to = *from;
    }
}

/// The largest packet.
const MAX_CAPACITY: usize = Header::LEN + u16::MAX as usize;

/// Enough for most requests: nginx's packet for a browser's GET takes 842 bytes.
const USUAL_CAPACITY: usize = 1_024;

const ROOM_FOR_A_FEW_VARS: usize = 256;
