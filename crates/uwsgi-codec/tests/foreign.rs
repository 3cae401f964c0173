//! Other protocols on a uwsgi socket are named after four bytes, and no packet is
//! taken for one.

use uwsgi_codec::{
    DecodeError, EncodeError, Header, Limits, PacketRef, RawPacket, RawPacketRef, modifier,
};

mod common;

use common::decode;

const SIGNATURE_OF_PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Asserts that the bytes are refused with this error as soon as there are four,
/// whatever the limits, as vars and as a raw packet.
fn assert_named(bytes: &[u8], expected: &DecodeError) {
    let name = bytes.escape_ascii();
    for limits in [Limits::default(), Limits::default().with_max_block(0)] {
        for bytes in [bytes, &bytes[..4]] {
            assert_eq!(decode(bytes, &limits), Err(expected.clone()), "{name}");
        }
        assert_eq!(decode(&bytes[..3], &limits), Ok(None), "{name}");
        if *expected != DecodeError::TlsHandshake {
            let raw = RawPacketRef::decode(bytes, &limits);
            assert_eq!(raw, Err(expected.clone()), "{name}, raw");
        }
    }
}

#[test]
fn http_requests_are_named() {
    let requests: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HEAD / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n",
        b"PUT / HTTP/1.1\r\n",
        b"DELETE / HTTP/1.1\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"TRACE / HTTP/1.1\r\n",
        b"PATCH / HTTP/1.1\r\n",
        b"QUERY / HTTP/1.1\r\n",
        b"PROPFIND / HTTP/1.1\r\n",
        b"PROPPATCH / HTTP/1.1\r\n",
        b"MKCOL /a HTTP/1.1\r\n",
        b"MKCALENDAR /a HTTP/1.1\r\n",
        b"COPY / HTTP/1.1\r\n",
        b"MOVE / HTTP/1.1\r\n",
        b"LOCK / HTTP/1.1\r\n",
        b"UNLOCK / HTTP/1.1\r\n",
        b"REPORT / HTTP/1.1\r\n",
        b"SEARCH / HTTP/1.1\r\n",
        b"ACL / HTTP/1.1\r\n",
        b"PURGE / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for request in requests {
        assert_named(request, &DecodeError::PlainHttp);
    }
}

#[test]
fn http_request_behind_an_empty_line_is_named() {
    for request in [
        &b"\r\nGET / HTTP/1.1\r\n"[..],
        b"\r\nPROPFIND / HTTP/1.1\r\n",
    ] {
        assert_named(request, &DecodeError::PlainHttp);
    }
    // modifier1 10 is the management interface.
    assert_eq!(decode(b"\nGET / ", &Limits::default()), Ok(None));
}

#[test]
fn http_replies_are_named() {
    assert_named(b"HTTP/1.1 200 OK\r\n", &DecodeError::HttpReply);
    assert_named(b"HTTP/1.0 400 Bad Request\r\n", &DecodeError::HttpReply);
}

#[test]
fn tls_handshakes_are_named() {
    // ClientHello records as OpenSSL sends them, and the extremes.
    for first in [
        [22, 3, 1, 2],
        [22, 3, 3, 0],
        [22, 3, 0, 0],
        [22, 3, 4, 0x40],
    ] {
        assert_named(&first, &DecodeError::TlsHandshake);
    }
    for first in [
        [22, 2, 1, 2],
        [22, 3, 5, 2],
        [22, 3, 1, 0x41],
        [21, 3, 1, 2],
    ] {
        let result = decode(&first, &Limits::default());
        assert_eq!(result, Ok(None), "{first:?}");
    }
}

#[test]
fn proxy_headers_are_named() {
    assert_named(
        b"PROXY TCP4 192.0.2.1 198.51.100.1 52814 80\r\n",
        &DecodeError::ProxyHeader { version: 1 },
    );
    assert_named(
        SIGNATURE_OF_PROXY_V2,
        &DecodeError::ProxyHeader { version: 2 },
    );
}

#[test]
fn ssh_is_named() {
    assert_named(b"SSH-2.0-OpenSSH_9.2p1\r\n", &DecodeError::Ssh);
}

#[test]
fn headers_that_only_resemble_others_are_packets() {
    for first in [
        b"GETS", b"get ", b"PUT\r", b"\x00ET ", b"SSH ", b"\r\n\r ", b"\r\nZZ", b"\rGET", b"http",
    ] {
        let result = decode(first, &Limits::default());
        assert_eq!(result, Ok(None), "{}", first.escape_ascii());
    }
}

/// Every byte that a prefix of another protocol has is tried in each place.
#[test]
fn no_packet_with_a_known_modifier_is_refused() {
    let limits = Limits::default();
    let bytes = || (b'A'..=b'Z').chain([0, 1, 3, 4, 64, b'\r', b'\n', b' ', b'-']);
    for modifier1 in 0..=u8::MAX {
        if modifier::name(modifier1).is_none() || modifier1 == modifier::HTTP_REPLY {
            continue;
        }
        for low in bytes() {
            for high in bytes() {
                for modifier2 in bytes() {
                    let first = [modifier1, low, high, modifier2];
                    let raw = RawPacketRef::decode(&first, &limits);
                    assert_eq!(raw.err(), None, "{first:?}");
                    if modifier1 != modifier::EVAL {
                        let vars = PacketRef::decode(&first, &limits);
                        assert_eq!(vars.err(), None, "{first:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn code_to_evaluate_is_no_tls_handshake_for_who_reads_raw_packets() {
    let code = "x = 1  # ".repeat(29)[..259].to_owned();
    let packet = RawPacket::new(modifier::EVAL, 2, code).unwrap();
    assert_eq!(packet.header.to_bytes(), [22, 3, 1, 2]);

    let mut wire = Vec::new();
    packet.encode(&mut wire).unwrap();
    let limits = Limits::default();
    assert_eq!(
        RawPacketRef::decode(&wire, &limits),
        Ok(Some(packet.as_ref()))
    );
    assert_eq!(decode(&wire, &limits), Err(DecodeError::TlsHandshake));
}

#[test]
fn what_would_be_refused_is_not_written() {
    for first in [
        b"GET ",
        b"PROX",
        b"SSH-",
        b"HTTP",
        b"\r\n\r\n",
        b"\r\nGE",
        b"MKCO",
    ] {
        let header = Header::from_bytes(*first);
        let block = vec![0; usize::from(header.datasize)];
        let result = RawPacket::new(header.modifier1, header.modifier2, block);
        let name = first.escape_ascii();
        assert_eq!(
            result,
            Err(EncodeError::MisleadingHeader { header }),
            "{name}"
        );
    }
}

#[test]
fn messages_say_what_to_do() {
    let cases = [
        (
            DecodeError::PlainHttp,
            "plain HTTP request: this socket speaks uwsgi, use uwsgi_pass",
        ),
        (
            DecodeError::ProxyHeader { version: 2 },
            "PROXY protocol header, version 2: this socket speaks uwsgi only, turn off send-proxy or \
             proxy_protocol",
        ),
        (
            DecodeError::Ssh,
            "SSH: this socket speaks uwsgi, check the port",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn errors_have_labels_and_statuses() {
    let cases = [
        (DecodeError::PlainHttp, "plain_http", 400),
        (DecodeError::HttpReply, "http_reply", 400),
        (DecodeError::TlsHandshake, "tls_handshake", 400),
        (DecodeError::ProxyHeader { version: 1 }, "proxy_header", 400),
        (DecodeError::Ssh, "ssh", 400),
        (DecodeError::TooManyVars { limit: 1 }, "too_many_vars", 431),
        (
            DecodeError::BlockTooLarge {
                datasize: 2,
                limit: 1,
            },
            "block_too_large",
            431,
        ),
        (DecodeError::EmptyKey { offset: 0 }, "empty_key", 400),
    ];
    for (error, kind, status) in cases {
        assert_eq!(
            (error.kind(), error.http_status()),
            (kind, status),
            "{error}"
        );
    }
}
