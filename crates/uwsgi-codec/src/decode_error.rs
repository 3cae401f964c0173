use core::error::Error;
use core::fmt;

/// Why bytes are not a uwsgi packet: always the sender's fault.
///
/// Offsets count from the start of the block, the first byte after the header, and
/// point at the length field of the key, value or item in question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first four bytes begin an HTTP/1 request, perhaps after an empty line, or
    /// the HTTP/2 preface.
    ///
    /// The usual cause is `proxy_pass` where `uwsgi_pass` was meant, or a
    /// browser pointed at the socket.
    PlainHttp,

    /// The first four bytes begin an HTTP reply.
    ///
    /// Servers answer requests with HTTP, not with a packet. A client that expects
    /// a packet, as in answer to a ping, asked a server that took it for a request.
    HttpReply,

    /// The first four bytes begin a TLS handshake.
    ///
    /// The usual cause is `uwsgi_pass suwsgi://` to a socket without TLS.
    TlsHandshake,

    /// The first four bytes begin a header of the PROXY protocol.
    ///
    /// The usual cause is `send-proxy` in HAProxy, or `proxy_protocol on` in nginx's
    /// `stream`.
    ProxyHeader {
        /// The version of the PROXY protocol: 1 is text, 2 is binary.
        version: u8,
    },

    /// The first four bytes begin the identification of an SSH client or server.
    Ssh,

    /// The block is larger than [`Limits::max_block`](crate::Limits::max_block).
    BlockTooLarge {
        /// The size announced by the header, or that of the given block, in bytes.
        datasize: usize,
        /// The limit.
        limit: u16,
    },

    /// The block holds more vars than [`Limits::max_vars`](crate::Limits::max_vars).
    TooManyVars {
        /// The limit.
        limit: usize,
    },

    /// An array holds more items than [`Limits::max_vars`](crate::Limits::max_vars).
    TooManyItems {
        /// The limit.
        limit: usize,
    },

    /// A key has no bytes.
    EmptyKey {
        /// The position of the key's length.
        offset: usize,
    },

    /// One byte is left after the last var or item: half a length.
    TrailingByte {
        /// The position of the byte.
        offset: usize,
    },

    /// A key is longer than the rest of the block.
    KeyPastEnd {
        /// The position of the key's length.
        offset: usize,
        /// The key's length.
        key_len: u16,
        /// Bytes after the length field.
        left: usize,
    },

    /// The block ends before or within the length of a value.
    ValueLengthPastEnd {
        /// Where the value's length should be.
        offset: usize,
        /// Bytes from there to the end: 0 or 1.
        left: usize,
    },

    /// A value is longer than the rest of the block.
    ValuePastEnd {
        /// The position of the value's length.
        offset: usize,
        /// The value's length.
        value_len: u16,
        /// Bytes after the length field.
        left: usize,
    },

    /// An item of an array is longer than the rest of the block.
    ItemPastEnd {
        /// The position of the item's length.
        offset: usize,
        /// The item's length.
        item_len: u16,
        /// Bytes after the length field.
        left: usize,
    },
}

impl DecodeError {
    /// Returns the variant as a label for metrics, such as `plain_http`.
    ///
    /// Labels are lower-case ASCII with underscores. They do not change.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PlainHttp => "plain_http",
            Self::HttpReply => "http_reply",
            Self::TlsHandshake => "tls_handshake",
            Self::ProxyHeader { .. } => "proxy_header",
            Self::Ssh => "ssh",
            Self::BlockTooLarge { .. } => "block_too_large",
            Self::TooManyVars { .. } => "too_many_vars",
            Self::TooManyItems { .. } => "too_many_items",
            Self::EmptyKey { .. } => "empty_key",
            Self::TrailingByte { .. } => "trailing_byte",
            Self::KeyPastEnd { .. } => "key_past_end",
            Self::ValueLengthPastEnd { .. } => "value_length_past_end",
            Self::ValuePastEnd { .. } => "value_past_end",
            Self::ItemPastEnd { .. } => "item_past_end",
        }
    }

    /// Returns the status of an HTTP response to whoever sent the bytes: 431 beyond a
    /// limit, otherwise 400.
    ///
    /// A gateway that got the bytes from a server behind it answers 502 instead.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            // RFC 6585, 5: the vars are mostly the header fields.
            Self::BlockTooLarge { .. } | Self::TooManyVars { .. } | Self::TooManyItems { .. } => {
                431
            }
            _ => 400,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp => {
                f.write_str("plain HTTP request: this socket speaks uwsgi, use uwsgi_pass")
            }
            Self::HttpReply => f.write_str(
                "HTTP reply instead of a uwsgi packet: the server took what it got for a request",
            ),
            Self::TlsHandshake => {
                f.write_str("TLS handshake: this socket speaks uwsgi without TLS")
            }
            Self::ProxyHeader { version } => write!(
                f,
                "PROXY protocol header, version {version}: this socket speaks uwsgi only, turn \
                 off send-proxy or proxy_protocol"
            ),
            Self::Ssh => f.write_str("SSH: this socket speaks uwsgi, check the port"),
            Self::BlockTooLarge { datasize, limit } => {
                write!(f, "block of {datasize} bytes, the limit is {limit}")
            }
            Self::TooManyVars { limit } => write!(f, "more than {limit} vars"),
            Self::TooManyItems { limit } => write!(f, "more than {limit} items"),
            Self::EmptyKey { offset } => write!(f, "empty key at offset {offset}"),
            Self::TrailingByte { offset } => write!(f, "trailing byte at offset {offset}"),
            Self::KeyPastEnd {
                offset,
                key_len,
                left,
            } => past_end(f, "key", *offset, *key_len, *left),
            Self::ValueLengthPastEnd { offset, left } => write!(
                f,
                "value length at offset {offset} takes 2 bytes, {left} left in the block"
            ),
            Self::ValuePastEnd {
                offset,
                value_len,
                left,
            } => past_end(f, "value", *offset, *value_len, *left),
            Self::ItemPastEnd {
                offset,
                item_len,
                left,
            } => past_end(f, "item", *offset, *item_len, *left),
        }
    }
}

fn past_end(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    offset: usize,
    len: u16,
    left: usize,
) -> fmt::Result {
    write!(
        f,
        "{what} of {len} bytes at offset {offset}, {left} left in the block"
    )
}

impl Error for DecodeError {}
