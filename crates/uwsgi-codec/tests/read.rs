//! Packets from readers that block.

use std::io::{self, Read};

use uwsgi_codec::{DecodeError, Limits, ReadError, modifier, needed, read_packet, read_raw_packet};

/// Hands out one byte at a time, each after an interruption.
struct Slow<'a> {
    bytes: &'a [u8],
    interrupted: bool,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = buffer.len().min(1);
        self.bytes.read(&mut buffer[..one])
    }
}

#[test]
fn packets_and_bodies_are_read_in_turn() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody\x64\x00\x00\x00";
    let mut reader = Slow {
        bytes: wire,
        interrupted: false,
    };
    let limits = Limits::default();

    let packet = read_packet(&mut reader, &limits).unwrap().unwrap();
    assert_eq!(packet.vars.get("k"), Some(&b"v"[..]));
    let mut body = [0; 4];
    reader.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"body");
    let ping = read_packet(&mut reader, &limits).unwrap().unwrap();
    assert_eq!(ping.header.modifier1, modifier::PING);

    assert!(read_packet(&mut reader, &limits).unwrap().is_none());
}

#[test]
fn reader_may_be_a_trait_object() {
    let mut bytes = &b"\x64\x00\x00\x00"[..];
    let reader: &mut dyn Read = &mut bytes;

    assert!(read_packet(reader, &Limits::default()).unwrap().is_some());
}

#[test]
fn end_within_a_packet_says_how_much_was_there() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00v";
    for (have, need) in [(1, 4), (3, 4), (4, 10), (9, 10)] {
        let error = read_packet(&mut &wire[..have], &Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the stream ended within a packet: {have} of {need} bytes")
        );
        assert!(matches!(error, ReadError::Incomplete { .. }));
        assert_eq!(error.kind(), "incomplete_packet");
    }
}

#[test]
fn nothing_behind_a_header_is_read_if_that_is_no_packet() {
    let mut reader = &b"HTTP/1.1 200 OK\r\n\r\n"[..];

    let error = read_packet(&mut reader, &Limits::default()).unwrap_err();

    assert!(matches!(error, ReadError::Decode(DecodeError::HttpReply)));
    assert_eq!(error.kind(), "http_reply");
    assert_eq!(reader, b"/1.1 200 OK\r\n\r\n");
}

#[test]
fn malformed_vars_are_an_error_unless_the_packet_is_read_raw() {
    let wire = b"\x6f\x03\x00\x00key";
    let limits = Limits::default();

    let error = read_packet(&mut &wire[..], &limits).unwrap_err();
    assert!(matches!(
        error,
        ReadError::Decode(DecodeError::KeyPastEnd { .. })
    ));

    let packet = read_raw_packet(&mut &wire[..], &limits).unwrap().unwrap();
    assert_eq!(packet.block, "key");
}

#[test]
fn limits_apply_before_the_block_is_read() {
    let mut reader = &b"\x00\x06\x00\x00\x01\x00k\x01\x00v"[..];

    let limits = Limits::default().with_max_block(5);
    let error = read_packet(&mut reader, &limits).unwrap_err();

    assert_eq!(error.to_string(), "block of 6 bytes, the limit is 5");
    assert_eq!(reader.len(), 6);
}

#[test]
fn failure_of_the_reader_is_passed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let error = read_packet(&mut Broken, &Limits::default()).unwrap_err();

    assert!(
        matches!(&error, ReadError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset),
        "{error}"
    );
}

#[test]
fn needed_counts_down_to_the_end_of_the_packet() {
    let wire = b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody";
    let expected = [4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 0, 0];
    for (have, expected) in expected.into_iter().enumerate() {
        assert_eq!(needed(&wire[..have]), expected, "{have} bytes");
    }
}

#[test]
fn each_reason_not_to_read_has_its_status() {
    let too_large = DecodeError::BlockTooLarge {
        datasize: 2,
        limit: 1,
    };
    for (error, status) in [
        (ReadError::Decode(DecodeError::PlainHttp), 400),
        (ReadError::Decode(too_large), 431),
        (ReadError::Incomplete { have: 1, need: 4 }, 400),
        (ReadError::Io(io::ErrorKind::ConnectionReset.into()), 400),
        // A socket with a read timeout: the first on Linux.
        (ReadError::Io(io::ErrorKind::WouldBlock.into()), 408),
        (ReadError::Io(io::ErrorKind::TimedOut.into()), 408),
    ] {
        assert_eq!(error.http_status(), status, "{error}");
    }
}
