//! The codec in tokio-util's hands.

use std::io::ErrorKind;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tokio_util::codec::{Encoder, Framed, FramedRead};
use uwsgi_codec::{CodecError, DecodeError, Limits, PacketBuilder, UwsgiCodec};

#[tokio::test]
async fn request_in_pieces_is_one_packet_and_its_body_is_left() {
    let (mut web_server, socket) = tokio::io::duplex(3);
    let sender = tokio::spawn(async move {
        let request = b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody";
        web_server.write_all(request).await.unwrap();
    });

    let mut framed = Framed::new(socket, UwsgiCodec::default());
    let packet = framed.next().await.unwrap().unwrap();
    let mut parts = framed.into_parts();
    let mut body = parts.read_buf.to_vec();
    parts.io.read_to_end(&mut body).await.unwrap();
    sender.await.unwrap();

    assert_eq!(packet.vars.get("k"), Some(&b"v"[..]));
    assert_eq!(body, b"body");
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
async fn end_of_stream_within_a_packet_is_an_io_error() {
    let socket = &b"\x00\x06\x00\x00\x01\x00k"[..];
    let mut packets = FramedRead::new(socket, UwsgiCodec::default());

    let error = packets.next().await.unwrap().unwrap_err();

    let CodecError::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::Other);
}

#[tokio::test]
async fn limits_apply() {
    let socket = &b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..];
    let codec = UwsgiCodec::new(Limits::default().with_max_block(5));

    let error = FramedRead::new(socket, codec)
        .next()
        .await
        .unwrap()
        .unwrap_err();

    let expected = DecodeError::BlockTooLarge {
        datasize: 6,
        limit: 5,
    };
    assert!(matches!(error, CodecError::Decode(error) if error == expected));
}

#[test]
fn packet_is_encoded() {
    let packet = PacketBuilder::new().var("k", "v").unwrap().build().unwrap();

    let mut wire = BytesMut::new();
    UwsgiCodec::default().encode(packet, &mut wire).unwrap();

    assert_eq!(wire, b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..]);
}
