//! How a stream is cut never changes which packets and which error come out of
//! it, and the packets encode back to what was consumed.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};
use uwsgi_codec::{CodecError, DecodeError, Limits, Packet, UwsgiCodec};

fuzz_target!(|chunks: Vec<&[u8]>| {
    let stream = chunks.concat();
    let in_chunks = receive(&chunks);
    let whole = receive(&[&stream]);
    assert_eq!(in_chunks, whole);

    let (packets, _, rest) = whole;
    let mut sent = BytesMut::new();
    for packet in packets {
        let result = UwsgiCodec::default().encode(packet, &mut sent);
        result.expect("it was decoded");
    }
    sent.extend_from_slice(&rest);
    assert_eq!(sent, stream);
});

fn receive(chunks: &[&[u8]]) -> (Vec<Packet>, Option<DecodeError>, Vec<u8>) {
    let mut codec = UwsgiCodec::new(Limits::default().with_max_vars(20));
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for (taken, chunk) in chunks.iter().enumerate() {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(CodecError::Decode(error)) => {
                    let rest = [&buffer[..], &chunks[taken + 1..].concat()].concat();
                    return (packets, Some(error), rest);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    (packets, None, buffer.to_vec())
}
