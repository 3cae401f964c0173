//! What several test files need.

use bytes::BytesMut;
use uwsgi_codec::{DecodeError, Limits, Packet, PacketRef, Var};

/// Decodes the packet at the front of `wire` in every way the crate offers and
/// asserts that the results agree: borrowed, owned, with its vars shown, and owned
/// byte at a time.
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

    let mut seen = Vec::new();
    let shown = PacketRef::decode_with(wire, limits, |var| seen.push(var));
    assert_eq!(shown, borrowed, "shown and borrowed differ");
    check_seen(&seen, &borrowed);
    let mut seen_again = seen.iter();
    let shown = Packet::decode_with(&mut BytesMut::from(wire), limits, |var| {
        assert_eq!(seen_again.next(), Some(&var));
    });
    assert_eq!(shown, owned, "shown and owned differ");
    assert_eq!(seen_again.next(), None);

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

/// Asserts that every var of a packet was shown, and where it is in the block.
fn check_seen(seen: &[Var<'_>], packet: &Result<Option<PacketRef<'_>>, DecodeError>) {
    match packet {
        Ok(Some(packet)) => {
            let shown = seen.iter().map(|var| (var.key, var.value));
            assert!(shown.eq(packet.vars.iter()), "{seen:?}");
            for var in seen {
                let (before, from) = packet.vars.as_bytes().split_at(var.offset);
                assert!(from.starts_with(var.value), "{var:?}");
                assert!(before[..before.len() - 2].ends_with(var.key), "{var:?}");
            }
        }
        Ok(None) => assert!(seen.is_empty(), "shown too early"),
        Err(_) => {}
    }
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
