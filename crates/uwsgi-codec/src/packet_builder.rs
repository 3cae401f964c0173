use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::encode::{encode, header_for};
use crate::{EncodeError, Header, Packet, PacketRef, Vars};

/// Builds a packet: the client's side of the protocol.
///
/// The decoder accepts whatever it builds, within the decoder's limits. Starts
/// as a request without vars: both modifiers 0.
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
#[derive(Clone, Debug, Default)]
pub struct PacketBuilder {
    modifier1: u8,
    modifier2: u8,
    // Invariant: `len` vars and nothing else, at most 65 535 bytes.
    block: Vec<u8>,
    len: usize,
}

impl PacketBuilder {
    /// Starts a packet without vars, both modifiers 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the packet is for; see [`modifier`](crate::modifier).
    pub fn modifier1(&mut self, modifier1: u8) -> &mut Self {
        self.modifier1 = modifier1;
        self
    }

    /// Sets `modifier2`, whose meaning depends on `modifier1`.
    pub fn modifier2(&mut self, modifier2: u8) -> &mut Self {
        self.modifier2 = modifier2;
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
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.is_empty() {
            return Err(EncodeError::EmptyKey);
        }
        let Ok(key_len) = u16::try_from(key.len()) else {
            return Err(EncodeError::KeyTooLong { len: key.len() });
        };
        let Ok(value_len) = u16::try_from(value.len()) else {
            return Err(EncodeError::ValueTooLong { len: value.len() });
        };
        let len = self.block.len() + 2 + key.len() + 2 + value.len();
        if len > usize::from(u16::MAX) {
            return Err(EncodeError::BlockTooLarge { len });
        }
        self.block.extend_from_slice(&key_len.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(&value_len.to_le_bytes());
        self.block.extend_from_slice(value);
        self.len += 1;
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
            self.var(key, value)?;
        }
        Ok(self)
    }

    /// Appends the packet to `dst` in its wire form.
    ///
    /// # Errors
    ///
    /// [`MisleadingHeader`](EncodeError::MisleadingHeader): the packet would be
    /// mistaken for HTTP or TLS. `dst` is then unchanged.
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        encode(self.header()?, &self.block, dst);
        Ok(())
    }

    /// Returns the packet in its wire form.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::encode`].
    pub fn to_vec(&self) -> Result<Vec<u8>, EncodeError> {
        Ok([&self.header()?.to_bytes(), self.block.as_slice()].concat())
    }

    /// Returns the packet as a decoder would return it.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::encode`].
    pub fn build(&self) -> Result<Packet, EncodeError> {
        let header = self.header()?;
        let vars = Vars::from_checked(Bytes::copy_from_slice(&self.block), self.len);
        Ok(Packet { header, vars })
    }

    fn header(&self) -> Result<Header, EncodeError> {
        header_for(self.modifier1, &self.block, self.modifier2)
    }
}

impl From<PacketRef<'_>> for PacketBuilder {
    /// Starts from a packet as received: a proxy appends to it, and the last
    /// pair with a key wins.
    fn from(packet: PacketRef<'_>) -> Self {
        Self {
            modifier1: packet.header.modifier1,
            modifier2: packet.header.modifier2,
            block: packet.vars.as_bytes().to_vec(),
            len: packet.vars.len(),
        }
    }
}
