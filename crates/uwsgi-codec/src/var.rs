use core::fmt;

/// A var that [`PacketRef::decode_with`](crate::PacketRef::decode_with) passes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Var<'a> {
    /// The key, never empty.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Where the value begins in [`Vars::as_bytes`](crate::Vars::as_bytes), at most
    /// 65 535: what can be kept of it while there is no [`Packet`](crate::Packet) yet.
    pub offset: usize,
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Var")
            .field("key", &Ascii(self.key))
            .field("value", &Ascii(self.value))
            .field("offset", &self.offset)
            .finish()
    }
}

/// Formats bytes readably: `"GET"`, `"caf\xc3\xa9"`.
pub(crate) struct Ascii<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Ascii<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
