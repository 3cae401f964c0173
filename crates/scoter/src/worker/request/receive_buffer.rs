//! Allocates buffers for what a peer sends.

use std::collections::TryReserveError;
use std::mem;

use bytes::{Bytes, BytesMut};

/// Makes room for `additional` bytes, as [`BytesMut::reserve`] does, but where there is no
/// memory it says so instead of ending the process.
///
/// # Errors
///
/// There is no memory; the buffer is as it was.
pub(crate) fn make_room(buffer: &mut BytesMut, additional: usize) -> Result<(), TryReserveError> {
    if buffer.capacity() - buffer.len() >= additional || buffer.try_reclaim(additional) {
        return Ok(());
    }
    // Nothing is copied on the way there and back where the memory has one owner, and the
    // allocator may make it longer where it is.
    let mut bytes = Vec::from(mem::take(buffer));
    let reserved = bytes.try_reserve_exact(additional);
    *buffer = BytesMut::from(Bytes::from(bytes));
    reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_and_contents_stay() {
        let mut buffer = BytesMut::from(&b"abc"[..]);
        for additional in [1, 10_000, 5, 100_000] {
            make_room(&mut buffer, additional).unwrap();
            assert!(buffer.capacity() - buffer.len() >= additional);
            assert_eq!(&buffer[..], b"abc");
        }
        let start = buffer.as_ptr();
        make_room(&mut buffer, 90_000).unwrap();
        assert_eq!(buffer.as_ptr(), start, "there was room");
        let mut empty = BytesMut::new();
        make_room(&mut empty, 10).unwrap();
        assert!(empty.capacity() >= 10);
    }

    #[test]
    fn room_that_there_is_not_changes_nothing() {
        let mut buffer = BytesMut::from(&b"abc"[..]);
        for additional in [usize::MAX, usize::MAX / 4] {
            assert!(make_room(&mut buffer, additional).is_err());
            assert_eq!(&buffer[..], b"abc");
        }
    }
}
