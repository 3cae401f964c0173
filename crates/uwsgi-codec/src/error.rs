use thiserror::Error;

use crate::Header;

/// Why bytes are not a uwsgi packet: always the sender's fault.
///
/// Offsets count from the start of the var block, the first byte after the
/// header, and point at the length field of the key or value in question.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first four bytes begin an HTTP/1 request line or the HTTP/2 preface.
    ///
    /// The usual cause is `proxy_pass` where `uwsgi_pass` was meant, or a
    /// browser pointed at the socket.
    #[error("plain HTTP request: this socket speaks uwsgi, use uwsgi_pass")]
    PlainHttp,

    /// The first four bytes begin a TLS handshake.
    ///
    /// The usual cause is `uwsgi_pass suwsgi://` to a socket without TLS.
    #[error("TLS handshake: this socket speaks uwsgi without TLS")]
    TlsHandshake,

    /// The block is larger than [`Limits::max_block`](crate::Limits::max_block).
    #[error("block of {datasize} bytes, the limit is {limit}")]
    BlockTooLarge {
        /// The size announced by the header, or that of the given block, in bytes.
        datasize: usize,
        /// The limit.
        limit: u16,
    },

    /// The block holds more vars than [`Limits::max_vars`](crate::Limits::max_vars).
    #[error("more than {limit} vars")]
    TooManyVars {
        /// The limit.
        limit: usize,
    },

    /// A key has no bytes.
    #[error("empty key at offset {offset}")]
    EmptyKey {
        /// The position of the key's length.
        offset: usize,
    },

    /// One byte is left after the last var: half a key length.
    #[error("trailing byte at offset {offset}")]
    TrailingByte {
        /// The position of the byte.
        offset: usize,
    },

    /// A key is longer than the rest of the block.
    #[error("key of {key_len} bytes at offset {offset}, {left} left in the block")]
    KeyPastEnd {
        /// The position of the key's length.
        offset: usize,
        /// The key's length.
        key_len: u16,
        /// Bytes after the length field.
        left: usize,
    },

    /// The block ends before or within the length of a value.
    #[error("value length at offset {offset} takes 2 bytes, {left} left in the block")]
    ValueLengthPastEnd {
        /// Where the value's length should be.
        offset: usize,
        /// Bytes from there to the end: 0 or 1.
        left: usize,
    },

    /// A value is longer than the rest of the block.
    #[error("value of {value_len} bytes at offset {offset}, {left} left in the block")]
    ValuePastEnd {
        /// The position of the value's length.
        offset: usize,
        /// The value's length.
        value_len: u16,
        /// Bytes after the length field.
        left: usize,
    },
}

/// Why something cannot be encoded as a uwsgi packet: always the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A key has no bytes; uWSGI rejects the whole packet for that.
    #[error("empty key")]
    EmptyKey,

    /// The length of a key does not fit in 16 bits.
    #[error("key of {len} bytes, the protocol allows 65535")]
    KeyTooLong {
        /// The key's length in bytes.
        len: usize,
    },

    /// The length of a value does not fit in 16 bits.
    #[error("value of {len} bytes, the protocol allows 65535")]
    ValueTooLong {
        /// The value's length in bytes.
        len: usize,
    },

    /// The length of the block does not fit in 16 bits.
    #[error("block of {len} bytes, the protocol allows 65535")]
    BlockTooLarge {
        /// The size that the block would have, in bytes.
        len: usize,
    },

    /// The packet would begin like an HTTP request or a TLS handshake, and would
    /// be rejected as one ([`DecodeError::PlainHttp`], [`DecodeError::TlsHandshake`]).
    ///
    /// No packet in use does: the first letters of methods have no meaning as
    /// `modifier1`, except `H`, which begins responses; and 22, the first byte of
    /// TLS, carries code, not vars.
    #[error(
        "header {:02x?} begins like an HTTP request or a TLS handshake",
        .header.to_bytes()
    )]
    MisleadingHeader {
        /// The header that would have been sent.
        header: Header,
    },
}
