//! How a stream is cut never changes which packets, bodies and errors come out of it,
//! and what was consumed is written again byte for byte.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};
use uwsgi_codec::{CodecError, Event, Limits, UwsgiCodec};

fuzz_target!(|chunks: Vec<&[u8]>| {
    let stream = chunks.concat();
    let whole = receive(&[&stream]);
    assert_eq!(receive(&chunks), whole);

    let mut sent = BytesMut::new();
    for event in whole.events {
        let result = UwsgiCodec::default().encode(event, &mut sent);
        result.expect("it was decoded");
    }
    if whole
        .error
        .as_deref()
        .is_none_or(|error| !error.contains("content length"))
    {
        sent.extend_from_slice(&whole.rest);
        assert_eq!(sent, stream);
    }
});

#[derive(Debug, PartialEq)]
struct Received {
    /// The pieces of a body are one.
    events: Vec<Event>,
    error: Option<String>,
    rest: Vec<u8>,
}

fn receive(chunks: &[&[u8]]) -> Received {
    let mut codec = UwsgiCodec::new(Limits::default().with_max_vars(20));
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for (taken, chunk) in chunks.iter().enumerate() {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(event)) => add(event, &mut events, &mut codec),
                Ok(None) => break,
                Err(error) => {
                    let rest = [&buffer[..], &chunks[taken + 1..].concat()].concat();
                    return Received {
                        events,
                        error: Some(error.to_string()),
                        rest,
                    };
                }
            }
        }
    }
    let rest = buffer.to_vec();
    let error = end(&mut codec, &mut buffer).map(|error| error.to_string());
    Received {
        events,
        error,
        rest,
    }
}

fn add(event: Event, events: &mut Vec<Event>, codec: &mut UwsgiCodec) {
    match event {
        Event::Body(piece) => {
            assert!(!piece.is_empty());
            if let Some(Event::Body(before)) = events.last_mut() {
                *before = [&before[..], &piece].concat().into();
            } else {
                events.push(Event::Body(piece));
            }
        }
        Event::End => {
            codec.next_packet();
            events.push(Event::End);
        }
        Event::Packet(packet) => {
            codec.next_packet();
            events.push(Event::Packet(packet));
        }
    }
}

/// What the end of the stream is.
fn end(codec: &mut UwsgiCodec, buffer: &mut BytesMut) -> Option<CodecError> {
    match codec.decode_eof(buffer) {
        Ok(None) => None,
        Ok(Some(event)) => panic!("{event:?} was there before the end"),
        Err(error) => {
            assert!(matches!(
                error,
                CodecError::IncompletePacket { .. } | CodecError::IncompleteBody { .. }
            ));
            Some(error)
        }
    }
}
