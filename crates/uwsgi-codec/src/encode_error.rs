use core::error::Error;
use core::fmt;

use crate::Header;

/// Why something cannot be encoded as a uwsgi packet: always the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A key has no bytes; uWSGI rejects the whole packet for that.
    EmptyKey,

    /// An item of an array has no bytes; uWSGI skips such an item, or rejects the
    /// packet if it is the last one.
    EmptyItem,

    /// The length of a key does not fit in 16 bits.
    KeyTooLong {
        /// The key's length in bytes.
        len: usize,
    },

    /// The length of a value, or of an item of an array, does not fit in 16 bits.
    ValueTooLong {
        /// The value's length in bytes.
        len: usize,
    },

    /// The length of the block does not fit in 16 bits.
    BlockTooLarge {
        /// The size that the block would have, in bytes.
        len: usize,
    },

    /// The packet would begin like an HTTP request, a TLS handshake or another
    /// protocol, and would be rejected as that: see [`DecodeError`](crate::DecodeError).
    ///
    /// No packet in use does: neither the first letters of methods nor 13 have a
    /// meaning as `modifier1`, `H` begins replies, and 22, the first byte of TLS,
    /// carries code, not vars.
    MisleadingHeader {
        /// The header that would have been sent.
        header: Header,
    },

    /// The buffer to write to has a fixed size and is too small.
    NoRoom {
        /// Bytes of the packet.
        need: usize,
        /// Bytes that the buffer can take.
        room: usize,
    },
}

impl EncodeError {
    /// Returns the variant as a label for metrics, such as `key_too_long`.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EmptyKey => "empty_key",
            Self::EmptyItem => "empty_item",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::ValueTooLong { .. } => "value_too_long",
            Self::BlockTooLarge { .. } => "block_too_large",
            Self::MisleadingHeader { .. } => "misleading_header",
            Self::NoRoom { .. } => "no_room",
        }
    }

    /// Returns the status with which a gateway answers an HTTP request that it cannot
    /// encode: 431 if the request is too large for a packet, otherwise 500.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            // RFC 6585, 5: the vars are mostly the header fields.
            Self::KeyTooLong { .. } | Self::ValueTooLong { .. } | Self::BlockTooLarge { .. } => 431,
            _ => 500,
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyKey => f.write_str("empty key"),
            Self::EmptyItem => f.write_str("empty item"),
            Self::KeyTooLong { len } => too_large(f, "key", *len),
            Self::ValueTooLong { len } => too_large(f, "value", *len),
            Self::BlockTooLarge { len } => too_large(f, "block", *len),
            Self::MisleadingHeader { header } => write!(
                f,
                "header {:02x?} begins like another protocol, such as HTTP or TLS",
                header.to_bytes()
            ),
            Self::NoRoom { need, room } => {
                write!(f, "packet of {need} bytes, the buffer has room for {room}")
            }
        }
    }
}

fn too_large(f: &mut fmt::Formatter<'_>, what: &str, len: usize) -> fmt::Result {
    write!(f, "{what} of {len} bytes, the protocol allows {}", u16::MAX)
}

impl Error for EncodeError {}
