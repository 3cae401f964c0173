//! What holds for every packet, and for every input.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use uwsgi_codec::{DecodeError, EncodeError, Limits, Packet, PacketBuilder, PacketRef, VarsRef};

fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec((vec(any::<u8>(), 1..40), vec(any::<u8>(), 0..80)), 0..30)
}

fn wire() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 2]>(), pairs()).prop_filter_map(
        "a header that is not a packet's",
        |([m1, m2], pairs)| {
            let mut builder = PacketBuilder::new();
            builder.modifier1(m1).modifier2(m2).vars(pairs).ok()?;
            builder.to_vec().ok()
        },
    )
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    vec(wire(), 1..4).prop_map(|packets| packets.concat())
}

/// A few packets in a row, some of them damaged, and what is no packet at all.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let damaged =
        (packets(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
    let short_block = (vec(any::<u8>(), 0..60), any::<u8>())
        .prop_map(|(block, datasize)| [&[0, datasize, 0, 0], &block[..]].concat());
    prop_oneof![packets(), damaged, short_block, vec(any::<u8>(), 0..60)]
}

/// What a receiver gets out of a stream before it waits for more or gives up.
#[derive(Debug, PartialEq)]
struct Received {
    packets: Vec<Packet>,
    error: Option<DecodeError>,
    rest: Vec<u8>,
}

fn receive(
    stream: &[u8],
    chunk_lens: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Received {
    let mut packets = Vec::new();
    let mut buffer = BytesMut::new();
    let mut to_come = stream;
    let mut chunk_lens = chunk_lens.into_iter();
    let mut error = None;
    while !to_come.is_empty() && error.is_none() {
        let len = chunk_lens.next().unwrap_or(usize::MAX).min(to_come.len());
        let (chunk, behind) = to_come.split_at(len);
        buffer.extend_from_slice(chunk);
        to_come = behind;
        loop {
            match Packet::decode(&mut buffer, limits) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(malformed) => {
                    error = Some(malformed);
                    break;
                }
            }
        }
    }
    Received {
        packets,
        error,
        rest: [&buffer[..], to_come].concat(),
    }
}

proptest! {
    #[test]
    fn what_is_built_is_decoded(
        m1: u8,
        m2: u8,
        pairs in pairs(),
        body in vec(any::<u8>(), 0..20),
    ) {
        let mut builder = PacketBuilder::new();
        builder.modifier1(m1).modifier2(m2).vars(pairs.iter().map(|(k, v)| (k, v)))?;
        let mut wire = BytesMut::new();
        match builder.encode(&mut wire) {
            Ok(()) => {}
            Err(EncodeError::MisleadingHeader { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        prop_assert_eq!(&builder.to_vec()?, &wire);
        let len = wire.len();
        wire.extend_from_slice(&body);

        let packet = Packet::decode(&mut wire, &Limits::default())?;
        let packet = packet.ok_or_else(|| TestCaseError::fail("incomplete"))?;

        prop_assert_eq!(&packet, &builder.build()?);
        prop_assert_eq!(packet.len(), len);
        prop_assert_eq!((packet.header.modifier1, packet.header.modifier2), (m1, m2));
        prop_assert_eq!(packet.vars.iter().len(), pairs.len());
        let expected = pairs.iter().map(|(key, value)| (&key[..], &value[..]));
        prop_assert!(packet.vars.iter().eq(expected));
        prop_assert_eq!(wire, body);
    }

    #[test]
    fn what_is_decoded_is_encoded_back(wire in wire()) {
        let packet = PacketRef::decode(&wire, &Limits::default())?;
        let packet = packet.ok_or_else(|| TestCaseError::fail("incomplete"))?;

        let mut forwarded = BytesMut::new();
        packet.encode(&mut forwarded)?;
        let mut rebuilt = PacketBuilder::new();
        rebuilt.modifier1(packet.header.modifier1).modifier2(packet.header.modifier2);
        rebuilt.vars(packet.vars)?;

        prop_assert_eq!(&forwarded, &wire);
        prop_assert_eq!(rebuilt.to_vec()?, wire);
    }

    #[test]
    fn chunking_never_changes_the_result(
        stream in stream(),
        chunk_lens in vec(1_usize..40, 0..20),
        max_vars in 0_usize..40,
    ) {
        let limits = Limits::default().with_max_vars(max_vars);

        let whole = receive(&stream, [], &limits);
        let in_chunks = receive(&stream, chunk_lens, &limits);
        let in_bytes = receive(&stream, std::iter::repeat(1), &limits);

        prop_assert_eq!(&whole, &in_chunks);
        prop_assert_eq!(&whole, &in_bytes);
    }

    #[test]
    fn borrowed_and_owned_agree(stream in stream(), max_block: u16, max_vars in 0_usize..40) {
        let limits = Limits::default().with_max_block(max_block).with_max_vars(max_vars);
        let mut buffer = BytesMut::from(&stream[..]);

        let owned = Packet::decode(&mut buffer, &limits);
        let borrowed = PacketRef::decode(&stream, &limits);

        let (owned, borrowed) = match (owned, borrowed) {
            (Ok(Some(owned)), Ok(Some(borrowed))) => (owned, borrowed),
            (owned, borrowed) => {
                prop_assert_eq!(owned.map(|_| ()), borrowed.map(|_| ()));
                prop_assert_eq!(buffer, stream);
                return Ok(());
            }
        };
        prop_assert_eq!(owned.as_ref(), borrowed);
        prop_assert_eq!(&buffer[..], &stream[borrowed.len()..]);
        let pairs: Vec<(Bytes, Bytes)> = owned.vars.into_iter().collect();
        prop_assert!(pairs.iter().map(|(k, v)| (&k[..], &v[..])).eq(borrowed.vars));
    }

    #[test]
    fn get_is_the_last_of_get_all(block in vec(any::<u8>(), 0..80), key in vec(any::<u8>(), 0..2)) {
        // Short keys of few letters repeat.
        let block: Vec<u8> = block.chunks(2).flat_map(|v| [1, 0, v[0] % 3, 1, 0, v[0]]).collect();
        let vars = VarsRef::decode(&block, &Limits::default())?;
        let key: Vec<u8> = key.into_iter().map(|byte| byte % 3).collect();

        let expected: Vec<&[u8]> =
            vars.iter().filter(|(k, _)| *k == key).map(|(_, value)| value).collect();

        prop_assert!(vars.get_all(&key).eq(expected.iter().copied()));
        prop_assert_eq!(vars.get(&key), expected.last().copied());
    }
}
