//! What several test files need.

use bytes::BytesMut;
use uwsgi_codec::{DecodeError, Limits, Packet, PacketRef};

/// Decodes the packet at the front of `wire` in every way the crate offers and
/// asserts that the results agree: borrowed, owned, and owned byte at a time.
///
/// Returns the packet and the bytes behind it.
pub(crate) fn decode<'a>(
    wire: &'a [u8],
    limits: &Limits,
) -> Result<Option<(PacketRef<'a>, &'a [u8])>, DecodeError> {
    let borrowed = PacketRef::decode(wire, limits);

    let mut whole = BytesMut::from(wire);
    let owned = Packet::decode(&mut whole, limits);
    assert_eq!(borrow(&owned), borrowed, "owned and borrowed differ");
    if !matches!(owned, Ok(Some(_))) {
        assert_eq!(whole, wire, "bytes consumed without a packet");
    }

    let (in_bytes, taken) = decode_byte_at_a_time(wire, limits);
    assert_eq!(
        borrow(&in_bytes),
        borrowed,
        "byte at a time and whole differ"
    );

    let Some(packet) = borrowed? else {
        return Ok(None);
    };
    assert_eq!(taken, packet.len(), "decided before or after the last byte");
    assert_eq!(
        whole,
        wire[packet.len()..],
        "not exactly the packet consumed"
    );
    Ok(Some((packet, &wire[packet.len()..])))
}

/// Feeds one byte after the other until there is a result; says how many.
fn decode_byte_at_a_time(
    wire: &[u8],
    limits: &Limits,
) -> (Result<Option<Packet>, DecodeError>, usize) {
    let mut received = BytesMut::new();
    for (before, &byte) in wire.iter().enumerate() {
        received.extend_from_slice(&[byte]);
        match Packet::decode(&mut received, limits) {
            Ok(None) => {}
            result => return (result, before + 1),
        }
    }
    (Ok(None), wire.len())
}

fn borrow(
    owned: &Result<Option<Packet>, DecodeError>,
) -> Result<Option<PacketRef<'_>>, DecodeError> {
    match owned {
        Ok(packet) => Ok(packet.as_ref().map(Packet::as_ref)),
        Err(error) => Err(error.clone()),
    }
}
