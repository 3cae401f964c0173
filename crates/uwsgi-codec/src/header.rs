/// The four bytes in front of every uwsgi packet.
///
/// On the wire: `modifier1`, `datasize` little-endian, `modifier2`.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::Header;
///
/// let header = Header::from_bytes([0, 0x53, 0x03, 0]);
/// assert_eq!(header.datasize, 851);
/// assert_eq!(header.to_bytes(), [0, 0x53, 0x03, 0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the packet is for; see [`modifier`](crate::modifier).
    pub modifier1: u8,
    /// Bytes of the block after the header, without a request body.
    pub datasize: u16,
    /// Its meaning depends on `modifier1`; 0 in requests from a web server.
    pub modifier2: u8,
}

impl Header {
    /// Bytes of a header on the wire.
    pub const LEN: usize = 4;

    /// Reads a header. Any four bytes are a valid one.
    #[inline]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [modifier1, low, high, modifier2] = bytes;
        Self {
            modifier1,
            // uwsgi-docs, Protocol: datasize is little-endian
            datasize: u16::from_le_bytes([low, high]),
            modifier2,
        }
    }

    /// Returns the header in its wire form.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [low, high] = self.datasize.to_le_bytes();
        [self.modifier1, low, high, self.modifier2]
    }

    /// Returns the bytes of the whole packet on the wire: header and block.
    #[inline]
    #[must_use]
    pub fn packet_len(self) -> usize {
        Self::LEN + usize::from(self.datasize)
    }
}

/// Returns how many bytes of a packet are missing, at least: 0 if `received` begins
/// with a complete one.
///
/// Before the header is complete, that is what the header lacks. A decoder that
/// returned `None` needs so many bytes more. It reads the header and checks nothing: ask
/// the decoder first, which recognises HTTP and applies limits.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::needed;
///
/// assert_eq!(needed(b""), 4);
/// assert_eq!(needed(b"\x00\x06\x00\x00\x01\x00k"), 3);
/// assert_eq!(needed(b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody"), 0);
/// ```
#[inline]
#[must_use]
pub fn needed(received: &[u8]) -> usize {
    let packet_len = match received.first_chunk() {
        Some(first) => Header::from_bytes(*first).packet_len(),
        None => Header::LEN,
    };
    packet_len.saturating_sub(received.len())
}
