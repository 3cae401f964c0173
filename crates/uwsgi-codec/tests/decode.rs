//! Packets written out byte for byte, and what becomes of them.

use bytes::{Bytes, BytesMut};
use uwsgi_codec::{DecodeError, Header, Limits, Packet, PacketRef, Vars, VarsRef, modifier};

mod common;

use common::decode;

fn pairs<'a>(vars: VarsRef<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    vars.iter().collect()
}

#[test]
fn request_is_decoded() {
    let wire = b"\x00\x23\x00\x00\
        \x0e\x00REQUEST_METHOD\x03\x00GET\
        \x09\x00PATH_INFO\x01\x00/";

    let (packet, rest) = decode(wire, &Limits::default()).unwrap().unwrap();

    let header = Header {
        modifier1: modifier::WSGI,
        datasize: 35,
        modifier2: 0,
    };
    assert_eq!(packet.header, header);
    assert_eq!(
        pairs(packet.vars),
        [(&b"REQUEST_METHOD"[..], &b"GET"[..]), (b"PATH_INFO", b"/"),]
    );
    assert_eq!(packet.vars.as_bytes(), &wire[4..]);
    assert_eq!(rest, b"");
}

#[test]
fn body_is_left_behind_the_packet() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody";

    let (packet, rest) = decode(wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(packet.len(), 10);
    assert_eq!(rest, b"body");
}

#[test]
fn vars_in_front_of_a_malformation_have_been_seen() {
    let wire = b"\x00\x0a\x00\x00\x01\x00k\x01\x00v\x00\x00\x00\x00";
    let mut received = BytesMut::from(&wire[..]);
    let mut seen = Vec::new();

    let result = Packet::decode_with(&mut received, &Limits::default(), |var| {
        seen.push((var.key.to_vec(), var.value.to_vec(), var.offset));
    });

    assert_eq!(result, Err(DecodeError::EmptyKey { offset: 6 }));
    assert_eq!(seen, [(b"k".to_vec(), b"v".to_vec(), 5)]);
    assert_eq!(received, wire[..]);
}

#[test]
fn empty_block_is_valid() {
    let ping = [100, 0, 0, 0];

    let (packet, rest) = decode(&ping, &Limits::default()).unwrap().unwrap();

    assert_eq!(packet.header.modifier1, modifier::PING);
    assert!(packet.vars.is_empty());
    assert_eq!(packet.vars.iter().next(), None);
    assert_eq!(rest, b"");
}

#[test]
fn every_modifier_is_passed_through() {
    for modifier in 0..=u8::MAX {
        let wire = [modifier, 0, 0, modifier];
        let (packet, _) = decode(&wire, &Limits::default()).unwrap().unwrap();
        assert_eq!(packet.header.modifier1, modifier);
        assert_eq!(packet.header.modifier2, modifier);
    }
}

#[test]
fn datasize_is_little_endian() {
    let header = Header::from_bytes([0, 0x53, 0x03, 0]);

    assert_eq!(header.datasize, 851);
    assert_eq!(header.packet_len(), 855);
    assert_eq!(header.to_bytes(), [0, 0x53, 0x03, 0]);
}

#[test]
fn incomplete_packet_is_no_error() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00v";

    for len in 0..wire.len() {
        let result = decode(&wire[..len], &Limits::default());
        assert_eq!(result, Ok(None), "{len} bytes");
    }
}

#[test]
fn incomplete_packet_gets_room_for_the_rest() {
    let mut received = BytesMut::from(&b"\x00\x00\x20\x00\x01"[..]);

    assert_eq!(Packet::decode(&mut received, &Limits::default()), Ok(None));

    assert!(received.capacity() >= 4 + 8192, "{}", received.capacity());
    assert_eq!(received, b"\x00\x00\x20\x00\x01"[..]);
}

#[test]
fn malformed_part_of_an_incomplete_block_waits_for_the_rest() {
    // An empty key, but the last byte of the block is missing.
    let wire = b"\x00\x05\x00\x00\x00\x00\x01\x00";

    assert_eq!(decode(wire, &Limits::default()), Ok(None));
}

#[test]
fn value_may_be_empty() {
    let wire = b"\x00\x10\x00\x00\x0c\x00QUERY_STRING\x00\x00";

    let (packet, _) = decode(wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(packet.vars.get("QUERY_STRING"), Some(&b""[..]));
}

#[test]
fn keys_and_values_are_any_bytes() {
    let wire = b"\x00\x0a\x00\x00\x02\x00\xff\x00\x04\x00\xc3\xa9\r\n";

    let (packet, _) = decode(wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(
        pairs(packet.vars),
        [(&b"\xff\x00"[..], &b"\xc3\xa9\r\n"[..])]
    );
}

#[test]
fn order_and_duplicates_are_kept() {
    let wire = b"\x00\x12\x00\x00\
        \x01\x00b\x01\x001\
        \x01\x00a\x01\x002\
        \x01\x00b\x01\x003";

    let (packet, _) = decode(wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(
        pairs(packet.vars),
        [(&b"b"[..], &b"1"[..]), (b"a", b"2"), (b"b", b"3"),]
    );
}

#[test]
fn get_returns_the_last_pair_and_get_all_every_one() {
    let block = b"\x01\x00b\x01\x001\x01\x00a\x01\x002\x01\x00b\x01\x003";
    let borrowed = VarsRef::decode(block, &Limits::default()).unwrap();
    let owned = Vars::decode(Bytes::from_static(block), &Limits::default()).unwrap();

    assert_eq!(borrowed.get(b"b"), Some(&b"3"[..]));
    assert_eq!(borrowed.get(b"B"), None);
    assert!(borrowed.get_all(b"b").eq([b"1", b"3"]));
    assert_eq!(borrowed.get_all(b"").count(), 0);

    assert_eq!(owned.get(b"b"), Some(&b"3"[..]));
    assert_eq!(owned.get(b"B"), None);
    assert!(owned.get_all(b"b").eq([b"1", b"3"]));
}

#[test]
fn iterators_know_their_length() {
    let block = b"\x01\x00a\x00\x00\x01\x00b\x00\x00";
    let vars = Vars::decode(Bytes::from_static(block), &Limits::default()).unwrap();
    assert_eq!(vars.len(), 2);

    let mut borrowed = vars.iter();
    let mut owned = vars.clone().into_iter();
    for left in (0..2).rev() {
        assert!(borrowed.next().is_some());
        assert!(owned.next().is_some());
        assert_eq!(borrowed.len(), left);
        assert_eq!(owned.len(), left);
    }
    for _ in 0..2 {
        assert_eq!(borrowed.next(), None);
        assert_eq!(owned.next(), None);
    }
}

#[test]
fn owned_pairs_are_slices_of_what_was_received() {
    let mut received = BytesMut::from(&b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..]);
    let at = received.as_ptr() as usize;

    let packet = Packet::decode(&mut received, &Limits::default())
        .unwrap()
        .unwrap();
    let block_at = packet.vars.as_bytes().as_ptr() as usize;
    let (key, value) = packet.vars.into_iter().next().unwrap();

    assert_eq!((key.as_ref(), value.as_ref()), (&b"k"[..], &b"v"[..]));
    assert_eq!(block_at - at, 4);
    assert_eq!(key.as_ptr() as usize - at, 6);
    assert_eq!(value.as_ptr() as usize - at, 9);
}

#[test]
fn debug_shows_text() {
    let wire = b"\x00\x0e\x00\x00\x04\x00PATH\x06\x00/caf\xc3\xa9";

    let packet = PacketRef::decode(wire, &Limits::default())
        .unwrap()
        .unwrap();

    assert_eq!(format!("{:?}", packet.vars), r#"{"PATH": "/caf\xc3\xa9"}"#);
}

#[test]
fn malformations_are_named_with_offsets() {
    use DecodeError::*;

    let cases: &[(&str, &[u8], DecodeError)] = &[
        ("empty key", b"\x00\x00\x01\x00v", EmptyKey { offset: 0 }),
        (
            "empty key behind a pair",
            b"\x01\x00k\x01\x00v\x00\x00\x00\x00",
            EmptyKey { offset: 6 },
        ),
        ("one byte", b"\x00", TrailingByte { offset: 0 }),
        (
            "one byte behind a pair",
            b"\x01\x00k\x01\x00v\x01",
            TrailingByte { offset: 6 },
        ),
        (
            "two bytes behind a pair",
            b"\x01\x00k\x01\x00v\x01\x00",
            KeyPastEnd {
                offset: 6,
                key_len: 1,
                left: 0,
            },
        ),
        (
            "key one byte too long",
            b"\x04\x00key",
            KeyPastEnd {
                offset: 0,
                key_len: 4,
                left: 3,
            },
        ),
        (
            "longest key",
            b"\xff\xffkey",
            KeyPastEnd {
                offset: 0,
                key_len: 65_535,
                left: 3,
            },
        ),
        (
            "key length in big-endian",
            b"\x00\x01k\x00\x01v",
            KeyPastEnd {
                offset: 0,
                key_len: 256,
                left: 4,
            },
        ),
        (
            "key without a value",
            b"\x01\x00k",
            ValueLengthPastEnd { offset: 3, left: 0 },
        ),
        (
            "key with half a value length",
            b"\x01\x00k\x01",
            ValueLengthPastEnd { offset: 3, left: 1 },
        ),
        (
            "value length without a value",
            b"\x01\x00k\x01\x00",
            ValuePastEnd {
                offset: 3,
                value_len: 1,
                left: 0,
            },
        ),
        (
            "value one byte too long, behind a pair",
            b"\x01\x00k\x01\x00v\x01\x00k\x03\x00va",
            ValuePastEnd {
                offset: 9,
                value_len: 3,
                left: 2,
            },
        ),
    ];
    for (name, block, expected) in cases {
        let wire = [&[0, block.len() as u8, 0, 0], *block].concat();
        assert_eq!(
            decode(&wire, &Limits::default()),
            Err(expected.clone()),
            "{name}"
        );

        let block = VarsRef::decode(block, &Limits::default());
        assert_eq!(block, Err(expected.clone()), "{name}, without a header");
    }
}

#[test]
fn bytes_behind_a_malformed_packet_change_nothing() {
    let wire = b"\x00\x05\x00\x00\x01\x00k\x01\x00v and more";

    let expected = DecodeError::ValuePastEnd {
        offset: 3,
        value_len: 1,
        left: 0,
    };
    assert_eq!(decode(wire, &Limits::default()), Err(expected));
}

#[test]
fn block_beyond_the_limit_is_refused_with_its_header() {
    let limits = Limits::default().with_max_block(4096);
    let expected = DecodeError::BlockTooLarge {
        datasize: 4097,
        limit: 4096,
    };

    assert_eq!(decode(&[0, 0x01, 0x10, 0], &limits), Err(expected.clone()));
    assert_eq!(VarsRef::decode(&[0; 4097], &limits), Err(expected));
    assert_eq!(decode(&[0, 0x00, 0x10, 0], &limits), Ok(None));
}

#[test]
fn block_that_no_header_can_announce_is_refused() {
    let block = [0; 65_536];

    let expected = DecodeError::BlockTooLarge {
        datasize: 65_536,
        limit: 65_535,
    };
    assert_eq!(VarsRef::decode(&block, &Limits::default()), Err(expected));
}

#[test]
fn block_of_65535_bytes_is_accepted_by_default() {
    let value = vec![b'v'; 65_530];
    let wire = [b"\x00\xff\xff\x00\x01\x00k\xfa\xff", &value[..]].concat();

    let (packet, _) = decode(&wire, &Limits::default()).unwrap().unwrap();

    assert_eq!(packet.header.datasize, 65_535);
    assert_eq!(packet.vars.get("k"), Some(&value[..]));
}

#[test]
fn vars_beyond_the_limit_are_refused() {
    let wire = b"\x00\x0f\x00\x00\x01\x00a\x00\x00\x01\x00b\x00\x00\x01\x00c\x00\x00";

    let exact = decode(wire, &Limits::default().with_max_vars(3));
    assert_eq!(exact.unwrap().unwrap().0.vars.len(), 3);

    let one_too_many = decode(wire, &Limits::default().with_max_vars(2));
    assert_eq!(one_too_many, Err(DecodeError::TooManyVars { limit: 2 }));

    let none_allowed = decode(wire, &Limits::default().with_max_vars(0));
    assert_eq!(none_allowed, Err(DecodeError::TooManyVars { limit: 0 }));
}

#[test]
fn vars_up_to_1024_are_accepted_by_default() {
    let var = b"\x01\x00k\x00\x00";

    let most = VarsRef::decode(&var.repeat(1024), &Limits::default()).map(|vars| vars.len());
    let more = VarsRef::decode(&var.repeat(1025), &Limits::default()).map(|vars| vars.len());

    assert_eq!(most, Ok(1024));
    assert_eq!(more, Err(DecodeError::TooManyVars { limit: 1024 }));
}

#[test]
fn limit_of_vars_is_judged_before_what_lies_beyond_it() {
    // One good pair, then an empty key.
    let wire = b"\x00\x0a\x00\x00\x01\x00k\x01\x00v\x00\x00\x00\x00";

    let result = decode(wire, &Limits::default().with_max_vars(1));

    assert_eq!(result, Err(DecodeError::TooManyVars { limit: 1 }));
}

#[test]
fn messages_say_what_was_found() {
    let cases = [
        (
            DecodeError::PlainHttp,
            "plain HTTP request: this socket speaks uwsgi, use uwsgi_pass",
        ),
        (
            DecodeError::BlockTooLarge {
                datasize: 21_573,
                limit: 4096,
            },
            "block of 21573 bytes, the limit is 4096",
        ),
        (
            DecodeError::ValuePastEnd {
                offset: 9,
                value_len: 3,
                left: 2,
            },
            "value of 3 bytes at offset 9, 2 left in the block",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
}
