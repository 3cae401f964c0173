//! The one place that writes into a `bytes` object.

use std::slice;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Writes a `bytes` object, to which no other reference exists until it is full.
///
/// Its pages are allocated only when they are written, so data that never arrives costs nothing.
#[derive(Debug)]
pub(super) struct BytesWriter {
    object: Py<PyBytes>,
    start: Buffer,
    size: usize,
    filled: usize,
    /// How far it has been written to, with zeros at least.
    initialised: usize,
}

/// Where the contents of the object are.
#[derive(Debug)]
struct Buffer(*mut u8);

#[expect(unsafe_code, reason = "a pointer is nobody's to send by itself")]
// SAFETY: it points into an object that its owner keeps, and is used through that owner alone.
unsafe impl Send for Buffer {}

impl BytesWriter {
    /// Makes an object of `size` bytes, which is not 0, and allocates it without
    /// touching the memory.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub(super) fn new(py: Python<'_>, size: usize) -> PyResult<Self> {
        debug_assert!(size > 0, "the empty object is everybody's");
        let length = ffi::Py_ssize_t::try_from(size)?;
        #[expect(unsafe_code, reason = "PyBytes::new_with would write all of it first")]
        // SAFETY: without contents to copy it makes an object of its own, which is shared
        // with nobody (only the empty one would be); null says that an exception is set.
        let (object, start) = unsafe {
            let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), length);
            let object = Bound::from_owned_ptr_or_err(py, object)?;
            let start = ffi::PyBytes_AsString(object.as_ptr());
            (object.cast_into_unchecked::<PyBytes>(), start.cast())
        };
        Ok(Self {
            object: object.unbind(),
            start: Buffer(start),
            size,
            filled: 0,
            initialised: 0,
        })
    }

    /// Returns how many bytes have been filled.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.size
    }

    /// Returns up to `most` bytes of the room that is left, zeros or not. What is
    /// written there counts once [`advance`](Self::advance) says so.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.filled + most.min(self.size - self.filled);
        #[expect(unsafe_code, reason = "this is what the type is for")]
        // SAFETY: the object has `size` bytes from `start`, `filled <= end <= size` and
        // `initialised <= size`. Nobody else has a reference to the object, so nobody reads
        // or writes them, and `&mut self` keeps others out here. All of them up to `end` are
        // initialised before the slice is made.
        unsafe {
            if self.initialised < end {
                let missing = end - self.initialised;
                self.start.0.add(self.initialised).write_bytes(0, missing);
                self.initialised = end;
            }
            slice::from_raw_parts_mut(self.start.0.add(self.filled), end - self.filled)
        }
    }

    /// Records that the first `count` bytes of the room have been filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled += count;
        assert!(self.filled <= self.initialised, "more than there was room");
    }

    /// Copies as many `bytes` as there is room for.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        let count = room.len();
        room.copy_from_slice(&bytes[..count]);
        self.advance(count);
    }

    /// Returns the object, which must be full.
    pub(super) fn into_bytes(self, py: Python<'_>) -> Bound<'_, PyBytes> {
        assert!(self.is_full(), "bytes that nobody wrote");
        self.object.into_bound(py)
    }
}

impl AsRef<[u8]> for BytesWriter {
    /// Returns the bytes that have been filled.
    fn as_ref(&self) -> &[u8] {
        #[expect(unsafe_code, reason = "this is what the type is for")]
        // SAFETY: the object has that many initialised bytes from `start`, and `&self` keeps
        // them from being written to.
        unsafe {
            slice::from_raw_parts(self.start.0, self.filled)
        }
    }
}
