/// The limits of a decoder.
///
/// Both limits are enforced before the decoder allocates anything.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::Limits;
///
/// let limits = Limits::new().with_max_block(16_384).with_max_vars(200);
/// assert_eq!(limits.max_block, 16_384);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum bytes of a var block. Default: 65 535, the protocol's own limit.
    pub max_block: u16,
    /// Maximum vars in a block, duplicates included. Default: 1 024.
    pub max_vars: usize,
}

impl Limits {
    /// Returns the defaults.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_block: u16::MAX,
            max_vars: 1_024,
        }
    }

    /// Sets the maximum bytes of a var block. 0 accepts only empty blocks.
    #[inline]
    #[must_use]
    pub const fn with_max_block(mut self, bytes: u16) -> Self {
        self.max_block = bytes;
        self
    }

    /// Sets the maximum vars in a block. 0 accepts only empty blocks.
    #[inline]
    #[must_use]
    pub const fn with_max_vars(mut self, vars: usize) -> Self {
        self.max_vars = vars;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
