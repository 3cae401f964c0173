//! What the builder writes, byte for byte, and what it refuses.

use bytes::BytesMut;
use uwsgi_codec::{EncodeError, Header, Limits, Packet, PacketBuilder, PacketRef, modifier};

mod common;

use common::decode;

#[test]
fn request_is_written() {
    let mut builder = PacketBuilder::new();
    builder.var("REQUEST_METHOD", "GET").unwrap();
    builder.var(b"PATH_INFO", b"/caf\xc3\xa9").unwrap();

    let expected = b"\x00\x28\x00\x00\
        \x0e\x00REQUEST_METHOD\x03\x00GET\
        \x09\x00PATH_INFO\x06\x00/caf\xc3\xa9";
    assert_eq!(builder.to_vec().unwrap(), expected);

    let mut behind = BytesMut::from("before");
    builder.encode(&mut behind).unwrap();
    assert_eq!(behind, [b"before", &expected[..]].concat());

    let lent = builder.as_packet().unwrap();
    let packet = builder.build().unwrap();
    let (decoded, _) = decode(expected, &Limits::default()).unwrap().unwrap();
    assert_eq!(packet.as_ref(), decoded);
    assert_eq!(lent, decoded);
}

#[test]
fn ping_is_four_bytes() {
    let mut ping = PacketBuilder::new();
    ping.modifier1(modifier::PING).modifier2(1);

    assert_eq!(ping.to_vec().unwrap(), [100, 0, 0, 1]);
}

#[test]
fn order_and_duplicates_are_written_as_given() {
    let mut builder = PacketBuilder::new();
    builder.vars([("b", "1"), ("a", ""), ("b", "3")]).unwrap();

    assert_eq!(
        builder.to_vec().unwrap(),
        b"\x00\x11\x00\x00\x01\x00b\x01\x001\x01\x00a\x00\x00\x01\x00b\x01\x003"
    );
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let long = vec![b'x'; 65_536];
    let cases: &[(&str, &[u8], &[u8], EncodeError)] = &[
        ("empty key", b"", b"v", EncodeError::EmptyKey),
        (
            "key of 65536 bytes",
            &long,
            b"",
            EncodeError::KeyTooLong { len: 65_536 },
        ),
        (
            "value of 65536 bytes",
            b"k",
            &long,
            EncodeError::ValueTooLong { len: 65_536 },
        ),
        (
            "key that fills the block",
            &long[..65_535],
            b"",
            EncodeError::BlockTooLarge { len: 6 + 65_539 },
        ),
        (
            "pair one byte too long",
            b"k",
            &long[..65_525],
            EncodeError::BlockTooLarge { len: 65_536 },
        ),
    ];
    for (name, key, value, expected) in cases {
        let mut builder = PacketBuilder::new();
        builder.var("k", "v").unwrap();

        assert_eq!(builder.var(key, value).unwrap_err(), *expected, "{name}");

        let unchanged = b"\x00\x06\x00\x00\x01\x00k\x01\x00v";
        assert_eq!(builder.to_vec().unwrap(), unchanged, "{name}");
    }
}

#[test]
fn pairs_before_the_one_refused_stay() {
    let mut builder = PacketBuilder::new();

    let result = builder.vars([("a", "1"), ("", "2"), ("c", "3")]);

    assert_eq!(result.unwrap_err(), EncodeError::EmptyKey);
    assert_eq!(
        builder.to_vec().unwrap(),
        b"\x00\x06\x00\x00\x01\x00a\x01\x001"
    );
}

#[test]
fn block_of_65535_bytes_is_written() {
    let mut builder = PacketBuilder::new();
    builder.var("k", vec![b'v'; 65_530]).unwrap();

    let wire = builder.to_vec().unwrap();

    assert_eq!(wire[..4], [0, 0xff, 0xff, 0]);
    assert_eq!(wire.len(), 65_539);
    assert!(decode(&wire, &Limits::default()).unwrap().is_some());
}

#[test]
fn header_that_reads_as_http_is_refused() {
    // "GET " is modifier1 71, a block of 21573 bytes, modifier2 32.
    let mut builder = PacketBuilder::new();
    builder.modifier1(b'G').modifier2(b' ');
    builder.var("k", vec![b'v'; 21_573 - 5]).unwrap();

    let header = Header::from_bytes(*b"GET ");
    let expected = EncodeError::MisleadingHeader { header };
    assert_eq!(builder.to_vec().unwrap_err(), expected);
    assert_eq!(builder.build().unwrap_err(), expected);
    assert_eq!(builder.as_packet().unwrap_err(), expected);

    let mut dst = BytesMut::from("before");
    assert_eq!(builder.encode(&mut dst), Err(expected));
    assert_eq!(dst, "before");

    builder.var("one", "more").unwrap();
    assert!(builder.to_vec().is_ok());
}

#[test]
fn header_that_reads_as_tls_is_refused() {
    // 16 03 01 02: modifier1 22, a block of 259 bytes, modifier2 2.
    let mut builder = PacketBuilder::new();
    builder.modifier1(modifier::EVAL).modifier2(2);
    builder.var("k", vec![b'v'; 259 - 5]).unwrap();

    let header = Header::from_bytes([22, 3, 1, 2]);
    let expected = EncodeError::MisleadingHeader { header };
    assert_eq!(builder.to_vec().unwrap_err(), expected);
}

#[test]
fn received_packet_is_forwarded_unchanged() {
    let wire = b"\x05\x06\x00\x07\x01\x00k\x01\x00v";
    let mut received = BytesMut::from(&wire[..]);
    let packet = Packet::decode(&mut received, &Limits::default())
        .unwrap()
        .unwrap();

    let mut sent = BytesMut::new();
    packet.encode(&mut sent).unwrap();

    assert_eq!(sent, wire[..]);
}

#[test]
fn datasize_is_written_from_the_vars() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00v";
    let mut packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();
    packet.header.datasize = 9_999;

    let mut sent = BytesMut::new();
    packet.encode(&mut sent).unwrap();

    assert_eq!(sent, wire[..]);
    assert_eq!(packet.len(), wire.len());
}

#[test]
fn received_packet_is_continued() {
    let wire = b"\x05\x06\x00\x07\x01\x00k\x01\x00v";
    let packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();

    for mut builder in [
        PacketBuilder::from(packet),
        PacketBuilder::from(&packet.to_owned()),
    ] {
        builder.var("k", "w").unwrap();

        let sent = builder.build().unwrap();
        assert_eq!(sent.header.to_bytes(), [5, 12, 0, 7]);
        assert_eq!(sent.vars.len(), 2);
        assert_eq!(sent.vars.get("k"), Some(&b"w"[..]));
    }
}

#[test]
fn builder_can_be_used_again() {
    let mut builder = PacketBuilder::new();
    builder.modifier1(5).modifier2(7).var("first", "1").unwrap();
    assert_eq!(builder.len(), 1);

    builder.clear();
    assert!(builder.is_empty());
    builder.var("k", "v").unwrap();

    let expected = b"\x05\x06\x00\x07\x01\x00k\x01\x00v";
    assert_eq!(builder.as_bytes().unwrap(), expected);
    assert_eq!(builder.to_vec().unwrap(), expected);
}

#[test]
fn fields_of_every_length_are_written() {
    let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
    for capacity in [0, 10, 100_000] {
        let mut builder = PacketBuilder::with_capacity(capacity);
        for len in 0..=100 {
            let (key, value) = (&bytes[len..2 * len + 1], &bytes[..len]);
            builder.clear().vars([(key, value), (b"k", b"v")]).unwrap();

            let (packet, _) = decode(builder.as_bytes().unwrap(), &Limits::default())
                .unwrap()
                .unwrap();

            assert!(packet.vars.iter().eq([(key, value), (b"k", b"v")]), "{len}");
        }
    }
}

#[test]
fn collected_pairs_are_a_request_or_the_first_error() {
    let request: PacketBuilder = [("k", "v")].into_iter().collect();
    assert_eq!(
        request.to_vec().unwrap(),
        b"\x00\x06\x00\x00\x01\x00k\x01\x00v"
    );

    let mut refused: PacketBuilder = [("a", "1"), ("", "2"), ("c", "3")].into_iter().collect();
    refused.extend([("d", "4")]);
    assert_eq!(refused.to_vec(), Err(EncodeError::EmptyKey));
    assert_eq!(refused.as_bytes(), Err(EncodeError::EmptyKey));
    assert_eq!(
        refused.encode(&mut BytesMut::new()),
        Err(EncodeError::EmptyKey)
    );
    assert_eq!(refused.build(), Err(EncodeError::EmptyKey));

    assert_eq!(refused.clear().to_vec().unwrap(), [0, 0, 0, 0]);
}

#[test]
fn packet_is_written_to_any_buffer_with_room() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00v";
    let packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();
    let builder = PacketBuilder::from(packet);

    let mut vec = b"before".to_vec();
    packet.encode(&mut vec).unwrap();
    assert_eq!(vec, [b"before", &wire[..]].concat());

    let mut array = [0; 12];
    let mut behind = &mut array[..];
    builder.encode(&mut behind).unwrap();
    assert_eq!(behind.len(), 2);
    assert_eq!(array[..10], wire[..]);

    let no_room = Err(EncodeError::NoRoom { need: 10, room: 9 });
    let mut array = [0; 9];
    assert_eq!(packet.encode(&mut &mut array[..]), no_room);
    assert_eq!(builder.encode(&mut &mut array[..]), no_room);
    assert_eq!(array, [0; 9]);
}

#[test]
fn borrowed_packet_is_made_owned() {
    let wire = b"\x05\x06\x00\x07\x01\x00k\x01\x00v";
    let packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();

    let owned: Packet = packet.to_owned();

    assert_eq!(owned.as_ref(), packet);
    assert_eq!(packet.vars.to_owned(), owned.vars);
    for (key, value) in &packet.vars {
        assert_eq!((key, value), (&b"k"[..], &b"v"[..]));
    }
}

#[test]
fn errors_have_labels_and_statuses() {
    let header = Header::from_bytes(*b"GET ");
    let cases = [
        (EncodeError::EmptyKey, "empty_key", 500),
        (EncodeError::KeyTooLong { len: 70_000 }, "key_too_long", 431),
        (
            EncodeError::BlockTooLarge { len: 70_000 },
            "block_too_large",
            431,
        ),
        (
            EncodeError::MisleadingHeader { header },
            "misleading_header",
            500,
        ),
        (EncodeError::NoRoom { need: 2, room: 1 }, "no_room", 500),
    ];
    for (error, kind, status) in cases {
        assert_eq!(
            (error.kind(), error.http_status()),
            (kind, status),
            "{error}"
        );
    }
}

#[test]
fn messages_say_what_did_not_fit() {
    let header = Header::from_bytes(*b"GET ");
    let cases = [
        (
            EncodeError::ValueTooLong { len: 70_000 },
            "value of 70000 bytes, the protocol allows 65535",
        ),
        (
            EncodeError::MisleadingHeader { header },
            "header [47, 45, 54, 20] begins like another protocol, such as HTTP or TLS",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
}
