/// The limits of the head of a reply.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::http::ReplyLimits;
///
/// let limits = ReplyLimits::new().with_max_bytes(16 * 1024).with_max_headers(64);
/// assert_eq!(limits.max_headers, 64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReplyLimits {
    /// Maximum bytes of a head, with the empty line that ends it. Default: 65 536.
    pub max_bytes: usize,
    /// Maximum headers, repeated ones counted each. Default: 128.
    pub max_headers: usize,
}

impl ReplyLimits {
    /// Returns the defaults.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_bytes: 65_536,
            max_headers: 128,
        }
    }

    /// Sets the maximum bytes of a head.
    #[inline]
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the maximum headers.
    #[inline]
    #[must_use]
    pub const fn with_max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self::new()
    }
}
