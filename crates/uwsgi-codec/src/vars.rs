use core::fmt;
use core::iter::FusedIterator;

use bytes::Bytes;

use crate::decode::{check_vars, field_at};
use crate::var::Ascii;
use crate::{DecodeError, Limits};

/// A checked var block that borrows its bytes: an ordered multimap of keys and
/// values.
///
/// Keys are never empty; values may be. Neither has a particular encoding. Order
/// and duplicates are the sender's. No method allocates, and none but
/// [`decode`](VarsRef::decode) fails.
///
/// # Examples
///
/// ```
/// use uwsgi_codec::{Limits, VarsRef};
///
/// let block = b"\x09\x00HTTP_HOST\x01\x00a\x0c\x00QUERY_STRING\x00\x00";
/// let vars = VarsRef::decode(block, &Limits::default())?;
///
/// assert_eq!(vars.len(), 2);
/// assert_eq!(vars.get("HTTP_HOST"), Some(&b"a"[..]));
/// assert_eq!(vars.get("QUERY_STRING"), Some(&b""[..]));
/// assert_eq!(vars.get("HTTPS"), None);
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct VarsRef<'a> {
    // Invariant: `len` vars and nothing else, at most 65 535 bytes.
    block: &'a [u8],
    len: usize,
}

impl<'a> VarsRef<'a> {
    /// Checks a complete block, without a header.
    ///
    /// An empty block is valid.
    ///
    /// # Errors
    ///
    /// [`BlockTooLarge`](DecodeError::BlockTooLarge) and
    /// [`TooManyVars`](DecodeError::TooManyVars) beyond `limits`, otherwise
    /// the first malformation.
    pub fn decode(block: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let len = check_vars(block, limits, |_| {})?;
        Ok(Self { block, len })
    }

    /// Keeps a block of `len` vars that were checked before.
    pub(crate) fn from_checked(block: &'a [u8], len: usize) -> Self {
        Self { block, len }
    }

    /// Returns the vars with a copy of their bytes.
    #[must_use]
    pub fn to_owned(&self) -> Vars {
        Vars::from_checked(Bytes::copy_from_slice(self.block), self.len)
    }

    /// Returns the pairs in the order of the block, duplicates included.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter {
            block: self.block,
            at: 0,
            left: self.len,
        }
    }

    /// Returns the number of pairs, duplicates included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no pairs.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the block in its wire form.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.block
    }

    /// Returns the value of the last pair with this key.
    ///
    /// The last one wins in uWSGI, and nginx sends both when a `uwsgi_param`
    /// overrides an included one. Every call walks the whole block: to read
    /// many keys, iterate once instead.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        self.get_all(key).last()
    }

    /// Returns the values of all pairs with this key, in the order of the block.
    ///
    /// # Examples
    ///
    /// ```
    /// use uwsgi_codec::{Limits, VarsRef};
    ///
    /// let block = b"\x01\x00k\x01\x00a\x01\x00x\x00\x00\x01\x00k\x01\x00b";
    /// let vars = VarsRef::decode(block, &Limits::default())?;
    /// assert!(vars.get_all("k").eq([b"a", b"b"]));
    /// # Ok::<(), uwsgi_codec::DecodeError>(())
    /// ```
    pub fn get_all<K: AsRef<[u8]>>(&self, key: K) -> impl Iterator<Item = &'a [u8]> + use<'a, K> {
        self.iter()
            .filter(move |(k, _)| *k == key.as_ref())
            .map(|(_, value)| value)
    }
}

impl<'a> IntoIterator for VarsRef<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &VarsRef<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for VarsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.iter().map(|(key, value)| (Ascii(key), Ascii(value)));
        f.debug_map().entries(pairs).finish()
    }
}

/// An iterator over the pairs of a [`VarsRef`], created by [`VarsRef::iter`].
#[derive(Clone, Debug, Default)]
pub struct Iter<'a> {
    // Invariant: `left` vars and nothing else from `at`.
    block: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value_at) = field_at(self.block, self.at)?;
        let (value, next) = field_at(self.block, value_at)?;
        self.at = next;
        self.left -= 1;
        Some((key, value))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

/// A checked var block that owns its bytes, without a copy: a slice of the
/// received buffer.
///
/// Clones share the bytes. A value kept as [`Bytes`] keeps the whole receive
/// buffer alive.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use uwsgi_codec::{Limits, Vars};
///
/// let block = Bytes::from_static(b"\x09\x00HTTP_HOST\x01\x00a");
/// let vars = Vars::decode(block, &Limits::default())?;
///
/// assert_eq!(vars.get("HTTP_HOST"), Some(&b"a"[..]));
/// for (key, value) in vars {
///     let (_key, _value): (Bytes, Bytes) = (key, value);
/// }
/// # Ok::<(), uwsgi_codec::DecodeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Vars {
    // Invariant: as in `VarsRef`.
    block: Bytes,
    len: usize,
}

impl Vars {
    /// Checks a complete block, without a header.
    ///
    /// An empty block is valid.
    ///
    /// # Errors
    ///
    /// As [`VarsRef::decode`].
    pub fn decode(block: Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        let len = check_vars(&block, limits, |_| {})?;
        Ok(Self { block, len })
    }

    /// Keeps a block of `len` vars that were checked, or written, before.
    pub(crate) fn from_checked(block: Bytes, len: usize) -> Self {
        Self { block, len }
    }

    /// Borrows the vars.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> VarsRef<'_> {
        VarsRef {
            block: &self.block,
            len: self.len,
        }
    }

    /// Returns the pairs in the order of the block, duplicates included.
    ///
    /// To get them as [`Bytes`], iterate over the `Vars` by value.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        self.as_ref().iter()
    }

    /// Returns the number of pairs, duplicates included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no pairs.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the block in its wire form.
    ///
    /// To keep one value without copying it, pass what [`Vars::get`] or
    /// [`Vars::iter`] returned to [`Bytes::slice_ref`].
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.block
    }

    /// Returns the block in its wire form, without a copy.
    #[inline]
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.block
    }

    /// Returns the value of the last pair with this key; see [`VarsRef::get`].
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.as_ref().get(key)
    }

    /// Returns the values of all pairs with this key, in the order of the block.
    pub fn get_all<K: AsRef<[u8]>>(&self, key: K) -> impl Iterator<Item = &[u8]> + use<'_, K> {
        self.as_ref().get_all(key)
    }
}

impl<'a> IntoIterator for &'a Vars {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Vars {
    type Item = (Bytes, Bytes);
    type IntoIter = IntoIter;

    #[inline]
    fn into_iter(self) -> IntoIter {
        IntoIter {
            block: self.block,
            at: 0,
            left: self.len,
        }
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// An iterator over the pairs of a [`Vars`] as [`Bytes`], created by iterating over
/// it by value.
#[derive(Clone, Debug, Default)]
pub struct IntoIter {
    // Invariant: `left` vars and nothing else from `at`.
    block: Bytes,
    at: usize,
    left: usize,
}

impl Iterator for IntoIter {
    type Item = (Bytes, Bytes);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value_at) = field_at(&self.block, self.at)?;
        let (value, next) = field_at(&self.block, value_at)?;
        self.at = next;
        self.left -= 1;
        Some((self.block.slice_ref(key), self.block.slice_ref(value)))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for IntoIter {}

impl FusedIterator for IntoIter {}
