//! The builder refuses exactly what the protocol cannot say, and the decoder
//! finds the rest as it was given.

#![no_main]

use arbitrary::Arbitrary;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use uwsgi_codec::{DecodeError, EncodeError, Limits, Packet, PacketBuilder, PacketRef};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    modifier1: u8,
    modifier2: u8,
    pairs: Vec<(Text<'a>, Text<'a>)>,
}

/// Some bytes, repeated: fuzzers write no 65 536 bytes on their own.
#[derive(Arbitrary, Debug)]
struct Text<'a> {
    pattern: &'a [u8],
    times: u16,
}

impl Text<'_> {
    fn bytes(&self) -> Vec<u8> {
        let enough = 70_000 / self.pattern.len().max(1);
        self.pattern.repeat(enough.min(usize::from(self.times)))
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut builder = PacketBuilder::new();
    builder
        .modifier1(input.modifier1)
        .modifier2(input.modifier2);
    let mut taken = Vec::new();
    let mut block_len = 0;
    for (key, value) in &input.pairs {
        let (key, value) = (key.bytes(), value.bytes());
        let len = block_len + 4 + key.len() + value.len();
        let expected = if key.is_empty() {
            Err(EncodeError::EmptyKey)
        } else if key.len() > 65_535 {
            Err(EncodeError::KeyTooLong { len: key.len() })
        } else if value.len() > 65_535 {
            Err(EncodeError::ValueTooLong { len: value.len() })
        } else if len > 65_535 {
            Err(EncodeError::BlockTooLarge { len })
        } else {
            Ok(())
        };
        assert_eq!(builder.var(&key, &value).map(|_| ()), expected);
        if expected.is_ok() {
            block_len = len;
            taken.push((key, value));
        }
    }

    let limits = Limits::default().with_max_vars(usize::MAX);
    let mut wire = BytesMut::new();
    let encoded = builder.encode(&mut wire);
    assert_eq!(builder.to_vec(), encoded.clone().map(|()| wire.to_vec()));
    assert_eq!(builder.as_bytes().map(<[u8]>::to_vec), builder.to_vec());
    let mut again: PacketBuilder = [("overwritten", "")].into_iter().collect();
    again
        .clear()
        .modifier1(input.modifier1)
        .modifier2(input.modifier2)
        .extend(taken.iter().map(|(key, value)| (key, value)));
    assert_eq!(again.to_vec(), builder.to_vec());
    match encoded {
        Ok(()) => {}
        Err(EncodeError::MisleadingHeader { header }) => {
            assert!(wire.is_empty());
            let first = header.to_bytes();
            assert!(matches!(
                PacketRef::decode(&first, &limits),
                Err(DecodeError::PlainHttp
                    | DecodeError::HttpReply
                    | DecodeError::TlsHandshake
                    | DecodeError::ProxyHeader { .. }
                    | DecodeError::Ssh)
            ));
            return;
        }
        Err(error) => panic!("{error}"),
    }

    let packet = Packet::decode(&mut wire, &limits).expect("it was built");
    let packet = packet.expect("it was built whole");
    assert!(wire.is_empty());
    assert_eq!(packet, builder.build().expect("it was built before"));
    assert_eq!(packet.header.modifier1, input.modifier1);
    assert_eq!(packet.header.modifier2, input.modifier2);
    assert_eq!(packet.vars.len(), taken.len());
    let expected = taken.iter().map(|(key, value)| (&key[..], &value[..]));
    assert!(packet.vars.iter().eq(expected));
});
