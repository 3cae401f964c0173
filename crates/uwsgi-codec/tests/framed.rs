//! The codec in tokio-util's hands.

use std::io;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;
use tokio_util::codec::{Decoder, Encoder, Framed, FramedRead};
use uwsgi_codec::{
    CodecError, ContentLengthError, DecodeError, EncodeError, Event, Limits, Packet, PacketBuilder,
    UwsgiCodec,
};

/// The request with these vars, and a body.
fn request(vars: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut packet = PacketBuilder::new();
    packet.extend(vars.iter().copied());
    [&packet.to_vec().expect("it fits a packet"), body].concat()
}

/// Everything that comes out of a socket until it ends or fails: `P` for a packet,
/// the bodies' bytes, `.` for an end.
async fn events(
    socket: impl tokio::io::AsyncRead + Unpin,
    codec: UwsgiCodec,
) -> (String, Option<CodecError>) {
    let mut framed = FramedRead::new(socket, codec);
    let mut seen = String::new();
    while let Some(event) = framed.next().await {
        match event {
            Ok(Event::Packet(_)) => seen.push('P'),
            Ok(Event::Body(piece)) => seen.push_str(&String::from_utf8_lossy(&piece)),
            Ok(Event::End) => seen.push('.'),
            Err(error) => return (seen, Some(error)),
        }
    }
    (seen, None)
}

#[tokio::test]
async fn request_in_pieces_is_a_packet_its_body_and_an_end() {
    for piece_len in [1, 3, 100] {
        let (mut web_server, socket) = tokio::io::duplex(piece_len);
        let sender = tokio::spawn(async move {
            let request = request(&[("CONTENT_LENGTH", "4")], b"body");
            web_server.write_all(&request).await.unwrap();
        });

        let (seen, error) = events(socket, UwsgiCodec::default()).await;
        sender.await.unwrap();

        assert_eq!(seen, "Pbody.", "{piece_len}");
        assert!(error.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn request_without_a_body_ends_at_once() {
    for vars in [
        &[][..],
        &[("CONTENT_LENGTH", "")],
        &[("CONTENT_LENGTH", "0")],
    ] {
        let (mut web_server, socket) = tokio::io::duplex(100);
        web_server.write_all(&request(vars, b"")).await.unwrap();

        // The connection stays open: the end does not wait for its end.
        let mut framed = Framed::new(socket, UwsgiCodec::default());
        assert!(matches!(framed.next().await, Some(Ok(Event::Packet(_)))));
        assert!(matches!(framed.next().await, Some(Ok(Event::End))));
    }
}

#[tokio::test]
async fn what_follows_a_body_is_no_packet_until_it_is_asked_for() {
    let wire = [
        request(&[("CONTENT_LENGTH", "1")], b"a"),
        request(&[("CONTENT_LENGTH", "1")], b"b"),
    ]
    .concat();
    let (seen, error) = events(&wire[..], UwsgiCodec::default()).await;
    assert_eq!((seen.as_str(), error.is_none()), ("Pa.", true));

    let mut framed = FramedRead::new(&wire[..], UwsgiCodec::default());
    let mut bodies = Vec::new();
    while let Some(event) = framed.next().await {
        match event.unwrap() {
            Event::Packet(_) => framed.decoder_mut().next_packet(), // Too early: no effect.
            Event::Body(piece) => bodies.push(piece),
            Event::End => framed.decoder_mut().next_packet(),
        }
    }
    assert_eq!(bodies, ["a", "b"]);
}

#[test]
fn body_that_looks_like_a_packet_stays_a_body() {
    let inner = request(&[("k", "v")], b"");
    let length = inner.len().to_string();
    let wire = request(&[("CONTENT_LENGTH", &length)], &inner);
    let mut codec = UwsgiCodec::default();
    let mut received = BytesMut::from(&wire[..]);

    assert!(matches!(
        codec.decode(&mut received),
        Ok(Some(Event::Packet(_)))
    ));
    codec.next_packet();
    let body = codec.decode(&mut received).unwrap();

    assert_eq!(body, Some(Event::Body(inner.into())));
}

#[tokio::test]
async fn malformed_packet_ends_the_stream() {
    let socket = &b"GET / HTTP/1.1\r\n\r\n"[..];
    let mut packets = FramedRead::new(socket, UwsgiCodec::default());

    let error = packets.next().await.unwrap().unwrap_err();

    assert!(matches!(error, CodecError::Decode(DecodeError::PlainHttp)));
    assert!(packets.next().await.is_none());
}

#[tokio::test]
async fn end_within_a_packet_says_how_much_was_there() {
    let wire = request(&[("k", "v")], b"");
    for (have, need) in [(1, 4), (3, 4), (4, 10), (9, 10)] {
        let (seen, error) = events(&wire[..have], UwsgiCodec::default()).await;

        assert_eq!(seen, "");
        let error = error.unwrap();
        assert!(
            matches!(error, CodecError::IncompletePacket { have: h, need: n } if (h, n) == (have, need)),
            "{error:?}"
        );
        let text = format!("the stream ended within a packet: {have} of {need} bytes");
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test]
async fn end_within_a_body_says_how_much_was_there() {
    let wire = request(&[("CONTENT_LENGTH", "9")], b"body");

    let (seen, error) = events(&wire[..], UwsgiCodec::default()).await;

    assert_eq!(seen, "Pbody");
    let error = error.unwrap();
    assert_eq!(error.kind(), "incomplete_body");
    assert_eq!(
        error.to_string(),
        "the stream ended within a request body: 4 of 9 bytes"
    );
}

#[tokio::test]
async fn end_before_a_packet_is_no_error() {
    let (seen, error) = events(&b""[..], UwsgiCodec::default()).await;

    assert_eq!((seen.as_str(), error.is_none()), ("", true));
}

#[tokio::test]
async fn body_of_no_clear_length_is_refused() {
    let wire = request(&[("CONTENT_LENGTH", "4"), ("CONTENT_LENGTH", "5")], b"body");

    let (seen, error) = events(&wire[..], UwsgiCodec::default()).await;

    assert_eq!(seen, "");
    assert!(
        matches!(
            error,
            Some(CodecError::ContentLength(ContentLengthError::Conflict {
                first: 4,
                second: 5
            }))
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn limits_apply() {
    let socket = &b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..];
    let codec = UwsgiCodec::new(Limits::default().with_max_block(5));

    let (_, error) = events(socket, codec).await;

    let expected = DecodeError::BlockTooLarge {
        datasize: 6,
        limit: 5,
    };
    assert!(matches!(error, Some(CodecError::Decode(error)) if error == expected));
}

#[test]
fn packet_is_encoded_however_it_is_held() {
    let mut builder = PacketBuilder::new();
    builder.var("k", "v").unwrap();
    let packet = builder.build().unwrap();
    let write = |encode: &dyn Fn(&mut BytesMut) -> Result<(), CodecError>| {
        let mut wire = BytesMut::new();
        encode(&mut wire).unwrap();
        assert_eq!(wire, b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..]);
    };
    let codec = UwsgiCodec::default;

    write(&|wire| codec().encode(packet.clone(), wire));
    write(&|wire| codec().encode(&packet, wire));
    write(&|wire| codec().encode(packet.as_ref(), wire));
    write(&|wire| codec().encode(builder.clone(), wire));
    write(&|wire| codec().encode(&builder, wire));
    write(&|wire| codec().encode(Event::Packet(packet.clone()), wire));
}

#[test]
fn events_are_passed_on_as_they_came() {
    let wire = request(&[("CONTENT_LENGTH", "4")], b"body");
    let mut received = BytesMut::from(&wire[..]);
    let mut codec = UwsgiCodec::default();

    let mut sent = BytesMut::new();
    while let Some(event) = codec.decode(&mut received).unwrap() {
        UwsgiCodec::default().encode(event, &mut sent).unwrap();
    }

    assert_eq!(sent, wire);
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let mut packet = Packet::default();
    packet.header.modifier1 = 13;
    packet.vars = PacketBuilder::new()
        .var("k", vec![b'v'; 0x0d0a - 5])
        .unwrap()
        .build()
        .unwrap()
        .vars;
    packet.header.modifier2 = b'\n';

    let result = UwsgiCodec::default().encode(&packet, &mut BytesMut::new());

    assert!(matches!(result, Err(CodecError::Encode(_))), "{result:?}");
}

#[test]
fn each_reason_to_end_has_its_status() {
    let length = ContentLengthError::Conflict {
        first: 1,
        second: 2,
    };
    for (error, status) in [
        (
            CodecError::Decode(DecodeError::TooManyVars { limit: 1 }),
            431,
        ),
        (CodecError::ContentLength(length), 400),
        (CodecError::IncompletePacket { have: 1, need: 4 }, 400),
        (CodecError::IncompleteBody { have: 1, need: 4 }, 400),
        (
            CodecError::Encode(EncodeError::BlockTooLarge { len: 65_536 }),
            431,
        ),
        (CodecError::Encode(EncodeError::EmptyKey), 500),
        (CodecError::Io(io::ErrorKind::BrokenPipe.into()), 400),
        (CodecError::Io(io::ErrorKind::TimedOut.into()), 408),
    ] {
        assert_eq!(error.http_status(), status, "{error}");
    }
}
