//! Any input is a packet, too little, or an error; borrowed, owned, and in small
//! pieces agree on which; a packet encodes back to the bytes it came from.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use uwsgi_codec::{
    DecodeError, Header, Limits, Packet, PacketBuilder, PacketRef, RawPacketRef, ReadError, needed,
    read_packet,
};

fuzz_target!(|wire: &[u8]| {
    for limits in [
        Limits::default(),
        Limits::default().with_max_block(100).with_max_vars(3),
    ] {
        check(wire, &limits);
    }
});

fn check(wire: &[u8], limits: &Limits) {
    let borrowed = PacketRef::decode(wire, limits);
    check_owned(wire, limits, &borrowed);
    check_seen(wire, limits, &borrowed);
    check_in_pieces(wire, limits, &borrowed);
    check_read(wire, limits, &borrowed);
    check_raw(wire, limits, &borrowed);
    match borrowed {
        Ok(Some(packet)) => check_packet(wire, limits, packet),
        Ok(None) => assert!(
            wire.first_chunk()
                .is_none_or(|first| wire.len() < Header::from_bytes(*first).packet_len())
        ),
        Err(error) => check_error(wire, limits, &error),
    }
}

fn check_owned(
    wire: &[u8],
    limits: &Limits,
    expected: &Result<Option<PacketRef<'_>>, DecodeError>,
) {
    let mut received = BytesMut::from(wire);
    match Packet::decode(&mut received, limits) {
        Ok(Some(packet)) => {
            assert_eq!(Ok(Some(packet.as_ref())), *expected);
            assert_eq!(received, wire[packet.len()..]);
            let pairs: Vec<_> = packet.vars.clone().into_iter().collect();
            let pairs = pairs.iter().map(|(key, value)| (&key[..], &value[..]));
            assert!(pairs.eq(packet.vars.iter()));
        }
        other => {
            assert_eq!(other.map(|_| None), *expected);
            assert_eq!(received, wire);
        }
    }
}

fn check_seen(wire: &[u8], limits: &Limits, expected: &Result<Option<PacketRef<'_>>, DecodeError>) {
    let mut seen = Vec::new();
    let shown = PacketRef::decode_with(wire, limits, |var| seen.push(var));
    assert_eq!(shown, *expected);
    match shown {
        Ok(Some(packet)) => {
            assert!(seen.iter().map(|var| (var.key, var.value)).eq(packet.vars));
            for var in &seen {
                let (before, from) = packet.vars.as_bytes().split_at(var.offset);
                assert!(from.starts_with(var.value));
                assert!(before[..before.len() - 2].ends_with(var.key));
            }
        }
        Ok(None) => assert!(seen.is_empty()),
        Err(_) => {}
    }
    let mut seen_again = seen.iter();
    let _ = Packet::decode_with(&mut BytesMut::from(wire), limits, |var| {
        assert_eq!(seen_again.next(), Some(&var));
    });
    assert_eq!(seen_again.next(), None);
}

fn check_in_pieces(
    wire: &[u8],
    limits: &Limits,
    expected: &Result<Option<PacketRef<'_>>, DecodeError>,
) {
    let mut received = BytesMut::new();
    // Bytes, unless there are so many that little else would be tried.
    let piece_len = 1 + wire.len() / 1024;
    for piece in wire.chunks(piece_len) {
        received.extend_from_slice(piece);
        match Packet::decode(&mut received, limits) {
            Ok(None) => {}
            Ok(Some(packet)) => {
                assert_eq!(Ok(Some(packet.as_ref())), *expected);
                assert!(received.len() < piece_len);
                return;
            }
            Err(error) => {
                assert_eq!(Err(error), *expected);
                return;
            }
        }
    }
    assert_eq!(*expected, Ok(None));
}

fn check_read(wire: &[u8], limits: &Limits, expected: &Result<Option<PacketRef<'_>>, DecodeError>) {
    let mut reader = wire;
    match read_packet(&mut reader, limits) {
        Ok(Some(packet)) => {
            assert_eq!(Ok(Some(packet.as_ref())), *expected);
            assert_eq!(reader, &wire[packet.len()..]);
        }
        Ok(None) => assert!(wire.is_empty()),
        Err(ReadError::Decode(error)) => assert_eq!(Err(error), *expected),
        Err(ReadError::Incomplete { have, need }) => {
            assert_eq!(*expected, Ok(None));
            assert_eq!((have, need), (wire.len(), wire.len() + needed(wire)));
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whatever is a packet with vars is a raw packet with the same ones.
fn check_raw(wire: &[u8], limits: &Limits, expected: &Result<Option<PacketRef<'_>>, DecodeError>) {
    let raw = RawPacketRef::decode(wire, limits);
    match (&raw, expected) {
        (Ok(Some(raw)), Ok(Some(packet))) => {
            assert_eq!(*raw, RawPacketRef::from(*packet));
            assert_eq!(raw.vars(limits), Ok(packet.vars));
        }
        // Code to evaluate may begin like TLS, so that is left to who reads it.
        (_, Err(DecodeError::TlsHandshake)) => assert_eq!(wire[0], 22),
        (Ok(Some(raw)), Err(error)) => assert_eq!(raw.vars(limits), Err(error.clone())),
        (raw, expected) => assert_eq!(raw.clone().map(|_| ()), expected.clone().map(|_| ())),
    }
    if let Ok(Some(raw)) = raw {
        let mut sent = Vec::new();
        raw.encode(&mut sent).expect("it was decoded");
        assert_eq!(sent, wire[..raw.len()]);
        if let Ok(items) = raw.items(limits) {
            let item_bytes: usize = items.map(|item| 2 + item.len()).sum();
            assert_eq!(item_bytes, raw.block.len());
        }
    }
}

fn check_packet(wire: &[u8], limits: &Limits, packet: PacketRef<'_>) {
    let vars = packet.vars;
    assert_eq!(packet.len(), packet.header.packet_len());
    assert_eq!(vars.iter().count(), vars.len());
    assert!(vars.len() <= limits.max_vars);
    assert!(packet.header.datasize <= limits.max_block);

    let field_bytes: usize = vars.iter().map(|(k, v)| 2 + k.len() + 2 + v.len()).sum();
    assert_eq!(field_bytes, vars.as_bytes().len());
    // Walking the whole block for each key takes too long for many of them.
    for (key, _) in vars.iter().take(8) {
        assert!(!key.is_empty());
        assert_eq!(vars.get(key), vars.get_all(key).last());
        assert!(vars.get(key).is_some());
    }

    let mut forwarded = BytesMut::new();
    packet.encode(&mut forwarded).expect("it was decoded");
    assert_eq!(forwarded, wire[..packet.len()]);

    let mut builder = PacketBuilder::new();
    builder
        .modifier1(packet.header.modifier1)
        .modifier2(packet.header.modifier2)
        .vars(vars)
        .expect("they were decoded");
    assert_eq!(builder.to_vec().expect("it was decoded"), forwarded);
}

fn check_error(wire: &[u8], limits: &Limits, error: &DecodeError) {
    let (first, behind) = wire.split_first_chunk().expect("an error takes a header");
    let datasize = usize::from(Header::from_bytes(*first).datasize);
    let length_at = |offset: usize| {
        let bytes = behind[offset..]
            .first_chunk()
            .expect("a length in the block");
        u16::from_le_bytes(*bytes)
    };
    match *error {
        DecodeError::PlainHttp => assert!(first.is_ascii()),
        DecodeError::HttpReply => assert_eq!(first, b"HTTP"),
        DecodeError::TlsHandshake => assert_eq!(first[..2], [22, 3]),
        DecodeError::ProxyHeader { version: 1 } => assert_eq!(first, b"PROX"),
        DecodeError::ProxyHeader { .. } => assert_eq!(first, b"\r\n\r\n"),
        DecodeError::Ssh => assert_eq!(first, b"SSH-"),
        DecodeError::BlockTooLarge {
            datasize: announced,
            limit,
        } => {
            assert_eq!((announced, limit), (datasize, limits.max_block));
            assert!(announced > usize::from(limit));
        }
        DecodeError::TooManyVars { limit } => {
            assert_eq!(limit, limits.max_vars);
            assert!(datasize > 5 * limit);
        }
        DecodeError::EmptyKey { offset } => assert_eq!(length_at(offset), 0),
        DecodeError::TrailingByte { offset } => assert_eq!(offset + 1, datasize),
        DecodeError::KeyPastEnd {
            offset,
            key_len: len,
            left,
        }
        | DecodeError::ValuePastEnd {
            offset,
            value_len: len,
            left,
        } => {
            assert_eq!(length_at(offset), len);
            assert_eq!(offset + 2 + left, datasize);
            assert!(usize::from(len) > left);
        }
        DecodeError::ValueLengthPastEnd { offset, left } => {
            assert_eq!(offset + left, datasize);
            assert!(left < 2);
        }
        _ => panic!("no invariant is stated for {error:?}"),
    }
}
