//! Packets whose block is not vars.

use bytes::{Bytes, BytesMut};
use uwsgi_codec::modifier::{self, Contents};
use uwsgi_codec::{
    DecodeError, EncodeError, Limits, Packet, PacketBuilder, PacketRef, RawPacket, RawPacketRef,
};

/// Decodes borrowed, owned, and owned byte at a time, and asserts that they agree.
fn decode<'a>(wire: &'a [u8], limits: &Limits) -> Result<Option<RawPacketRef<'a>>, DecodeError> {
    let borrowed = RawPacketRef::decode(wire, limits);
    let mut received = BytesMut::from(wire);
    let owned = RawPacket::decode(&mut received, limits);
    let mut in_bytes = Ok(None);
    let mut arriving = BytesMut::new();
    for byte in wire {
        arriving.extend_from_slice(&[*byte]);
        in_bytes = RawPacket::decode(&mut arriving, limits);
        if in_bytes != Ok(None) {
            break;
        }
    }
    assert_eq!(in_bytes, owned);
    match (&owned, &borrowed) {
        (Ok(Some(owned)), Ok(Some(borrowed))) => {
            assert_eq!(owned.as_ref(), *borrowed);
            assert_eq!(received, wire[borrowed.len()..]);
            assert_eq!(borrowed.to_owned(), *owned);
        }
        (owned, borrowed) => {
            assert_eq!(owned.as_ref().map(|_| ()), borrowed.as_ref().map(|_| ()));
            assert_eq!(received, wire, "bytes consumed without a packet");
        }
    }
    borrowed
}

#[test]
fn block_is_passed_on_unread() {
    let wire = b"\x6f\x03\x00\x00keybehind";

    let packet = decode(wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(packet.header.modifier1, modifier::CACHE);
    assert_eq!(packet.block, b"key");
    assert_eq!(packet.len(), 7);
    let mut sent = Vec::new();
    packet.encode(&mut sent).unwrap();
    assert_eq!(sent, &wire[..7]);
    assert_eq!(decode(&wire[..6], &Limits::default()), Ok(None));
}

#[test]
fn raw_packet_gets_room_for_the_rest() {
    let mut received = BytesMut::from(&b"\x6f\x00\x20\x00k"[..]);

    assert_eq!(
        RawPacket::decode(&mut received, &Limits::default()),
        Ok(None)
    );

    assert!(received.capacity() >= 4 + 8192, "{}", received.capacity());
}

#[test]
fn block_beyond_the_limit_is_refused() {
    let limits = Limits::default().with_max_block(2);
    let expected = DecodeError::BlockTooLarge {
        datasize: 3,
        limit: 2,
    };
    assert_eq!(decode(b"\x6f\x03\x00\x00key", &limits), Err(expected));
}

#[test]
fn array_is_read_item_by_item() {
    let limits = Limits::default();
    let packet = RawPacket::from_items(modifier::RPC, 0, ["add", "2", "30"]).unwrap();
    assert_eq!(packet.block, &b"\x03\x00add\x01\x002\x02\x0030"[..]);

    let mut items = packet.items(&limits).unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items.next(), Some(&b"add"[..]));
    assert_eq!(items.len(), 2);
    assert!(items.eq([&b"2"[..], b"30"]));
}

#[test]
fn array_of_nothing_has_no_items() {
    let packet = RawPacket::new(modifier::RPC, 0, "").unwrap();

    assert_eq!(packet.items(&Limits::default()).unwrap().next(), None);
}

#[test]
fn malformed_arrays_are_named_with_offsets() {
    let limits = Limits::default().with_max_vars(2);
    let cases: &[(&[u8], DecodeError)] = &[
        (b"\x01", DecodeError::TrailingByte { offset: 0 }),
        (b"\x01\x00a\x00", DecodeError::TrailingByte { offset: 3 }),
        (
            b"\x01\x00a\x03\x00bc",
            DecodeError::ItemPastEnd {
                offset: 3,
                item_len: 3,
                left: 2,
            },
        ),
        (
            b"\x01\x00a\x01\x00b\x01\x00c",
            DecodeError::TooManyItems { limit: 2 },
        ),
    ];
    for (block, expected) in cases {
        let packet = RawPacket::new(modifier::RPC, 0, Bytes::from_static(block)).unwrap();
        let error = packet.items(&limits).unwrap_err();
        assert_eq!(error, *expected);
    }
}

#[test]
fn array_that_uwsgi_would_misread_is_not_written() {
    let long = vec![b'x'; 65_536];
    let cases: &[(&[&[u8]], EncodeError)] = &[
        (&[b"f", b""], EncodeError::EmptyItem),
        (&[&long], EncodeError::ValueTooLong { len: 65_536 }),
        (
            &[b"f", &long[..65_535]],
            EncodeError::BlockTooLarge { len: 3 + 65_537 },
        ),
    ];
    for (items, expected) in cases {
        let result = RawPacket::from_items(modifier::RPC, 0, *items);
        assert_eq!(result, Err(expected.clone()));
    }
    assert_eq!(
        RawPacket::new(modifier::CACHE, 0, long),
        Err(EncodeError::BlockTooLarge { len: 65_536 })
    );
}

#[test]
fn vars_of_a_raw_packet_are_those_of_a_packet() {
    let mut builder = PacketBuilder::new();
    builder.modifier1(modifier::SPOOLER).var("k", "v").unwrap();
    let packet = builder.build().unwrap();

    let raw = RawPacket::from(packet.clone());

    assert_eq!(raw.as_ref(), RawPacketRef::from(packet.as_ref()));
    assert_eq!(raw.vars(&Limits::default()), Ok(packet.vars.as_ref()));
    assert_eq!(
        RawPacket::new(modifier::CACHE, 0, "key")
            .unwrap()
            .vars(&Limits::default())
            .err(),
        Some(DecodeError::KeyPastEnd {
            offset: 0,
            key_len: 0x656b,
            left: 1
        })
    );
}

#[test]
fn every_packet_with_vars_is_a_raw_packet() {
    for wire in [
        &include_bytes!("fixtures/get.bin")[..],
        include_bytes!("fixtures/post.bin"),
    ] {
        let limits = Limits::default();
        let packet = PacketRef::decode(wire, &limits).unwrap().unwrap();
        let raw = decode(wire, &limits).unwrap().unwrap();
        assert_eq!(raw, packet.into());
        assert_eq!(raw.vars(&limits), Ok(packet.vars));
    }
}

#[test]
fn modifiers_have_names_and_contents() {
    let cases = [
        (modifier::WSGI, 0, Some("wsgi"), Some(Contents::Vars)),
        (
            modifier::WSGI_SCRIPT_NAME,
            0,
            Some("wsgi_script_name"),
            Some(Contents::Vars),
        ),
        (modifier::PING, 0, Some("ping"), Some(Contents::Bytes)),
        (modifier::SIGNAL, 9, Some("signal"), Some(Contents::Bytes)),
        (
            modifier::REMOTE_LOG,
            0,
            Some("remote_log"),
            Some(Contents::Bytes),
        ),
        (modifier::CACHE, 0, Some("cache"), Some(Contents::Bytes)),
        (modifier::CACHE, 1, Some("cache"), Some(Contents::Array)),
        (modifier::CACHE, 17, Some("cache"), Some(Contents::Vars)),
        (modifier::RPC, 0, Some("rpc"), Some(Contents::Array)),
        (modifier::RPC, 2, Some("rpc"), Some(Contents::Vars)),
        (modifier::RELOAD, 0, Some("reload"), Some(Contents::Empty)),
        (1, 0, None, None),
    ];
    for (modifier1, modifier2, name, contents) in cases {
        assert_eq!(modifier::name(modifier1), name, "{modifier1}");
        assert_eq!(
            modifier::contents(modifier1, modifier2),
            contents,
            "{modifier1}"
        );
    }
}

#[test]
fn debug_shows_bytes_readably() {
    let packet = RawPacket::new(modifier::CACHE, 0, &b"caf\xc3\xa9"[..]).unwrap();

    let shown = format!("{packet:?}");
    assert!(shown.ends_with(r#"block: "caf\xc3\xa9" }"#), "{shown}");
    assert_eq!(format!("{:?}", Packet::default().vars), "{}");
}
