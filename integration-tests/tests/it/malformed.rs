//! What is not a uwsgi packet.

use std::thread;

use integration_tests::{Scoter, get};

/// Builds a packet around a block that may be anything.
fn packet(block: &[u8]) -> Vec<u8> {
    let len = u16::try_from(block.len()).expect("a short block");
    [&[0], &len.to_le_bytes()[..], &[0], block].concat()
}

/// A request that no application of these tests would answer with 200 if it came to it.
fn start() -> Scoter {
    Scoter::serving("streaming")
        .args(["--threads", "1"])
        .start()
}

#[track_caller]
fn assert_alive(scoter: &Scoter, name: &str) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!(reply.text(), "quick", "after {name}");
}

#[test]
fn malformed_packet_is_a_400_and_one_log_line() {
    let mut scoter = start();
    let cases: [(&str, &[u8]); 11] = [
        ("empty key", b"\x00\x00\x01\x00v"),
        ("empty key and value", b"\x00\x00\x00\x00"),
        ("key past the end", b"\x05\x00KEY\x00"),
        ("key far past the end", b"\xff\xffKEY\x00\x00"),
        ("value past the end", b"\x03\x00KEY\x05\x00val"),
        ("value far past the end", b"\x03\x00KEY\xff\xffvalue"),
        ("no value length", b"\x03\x00KEY"),
        ("half a value length", b"\x03\x00KEY\x01"),
        ("one trailing byte", b"\x03\x00KEY\x01\x00v\x00"),
        ("two trailing bytes", b"\x03\x00KEY\x01\x00v\x01\x00"),
        // nginx until 1.31.4 wrote only the low byte of a parameter name's length.
        (
            "key of 300 bytes with a length of 44",
            &[&[44, 0][..], &[b'K'; 300], &[1, 0, b'v']].concat(),
        ),
    ];
    for (name, block) in cases {
        let before = scoter.stderr().len();
        let reply = scoter.connect().send(packet(block)).reply();
        assert_eq!(reply.status, 400, "{name}");
        assert_alive(&scoter, name);
        let line = integration_tests::until("a log line", || {
            let log = scoter.stderr().split_off(before);
            log.ends_with('\n').then_some(log)
        });
        assert_eq!(line.lines().count(), 1, "{name}: {line}");
    }
    let log = scoter.stop();
    assert_eq!(log.stderr.matches("Traceback").count(), 0, "{}", log.stderr);
}

#[test]
fn packet_that_ends_early_is_dropped() {
    let scoter = start();
    let whole = get("/quick").to_vec().expect("fits");
    for len in 0..whole.len() {
        let answer = scoter
            .connect()
            .send(&whole[..len])
            .finish()
            .ending()
            .bytes();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
            "{len}: {answer:?}"
        );
    }
    assert_alive(&scoter, "half packets");
}

#[test]
fn packet_without_vars_is_refused() {
    let scoter = start();
    let answer = scoter.connect().send(packet(b"")).ending().bytes();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
        "{answer:?}"
    );
    assert_alive(&scoter, "an empty block");
}

#[test]
fn too_many_vars_are_refused() {
    let scoter = start();
    let block = b"\x01\x00K\x00\x00".repeat(13_000);
    let reply = scoter.connect().send(packet(&block)).reply();
    assert_eq!(reply.status, 400);
    assert_alive(&scoter, "13 000 vars");
}

#[test]
fn http_on_the_socket_is_told_to_use_uwsgi_pass() {
    let scoter = start();
    for request in [
        "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody",
        "HEAD / HTTP/1.0\r\n\r\n",
        "PUT /x HTTP/1.1\r\n\r\n",
        "DELETE /x HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "PATCH / HTTP/1.1\r\n\r\n",
        // Recognised by the first bytes: nobody waits for 21 573 more.
        "GET ",
    ] {
        let reply = scoter.connect().send(request).reply();
        assert_eq!(reply.status, 400, "{request}");
        assert!(
            reply.text().contains("uwsgi_pass"),
            "{request}: {}",
            reply.text()
        );
        assert_alive(&scoter, request);
    }
    let line = scoter.wait_for_log("uwsgi_pass");
    assert!(line.contains("HTTP"), "{line}");
}

#[test]
fn tls_on_the_socket_is_refused() {
    let scoter = start();
    let hello = [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        &[7; 500],
    ]
    .concat();
    assert_eq!(scoter.connect().send(hello).reply().status, 400);
    assert_alive(&scoter, "a ClientHello");
}

#[test]
fn malformed_peers_disturb_nobody() {
    let scoter = Scoter::serving("streaming")
        .args(["--threads", "2"])
        .start();
    let whole = get("/quick").to_vec().expect("fits");
    thread::scope(|scope| {
        for peer in 0..4 {
            let (scoter, whole) = (&scoter, &whole);
            scope.spawn(move || {
                for round in 0..100 {
                    let bytes = match (peer + round) % 4 {
                        0 => packet(b"\x00\x00\x01\x00v"),
                        1 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                        2 => vec![7, 0, 0, 0],
                        _ => whole[..round % whole.len()].to_vec(),
                    };
                    let _ = scoter.connect().try_send(&bytes);
                }
            });
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(scoter.connect().send(whole).reply().text(), "quick");
                }
            });
        }
    });
}

#[test]
fn noise_is_survived() {
    // Not random, so that a failure can be repeated: a linear congruential generator.
    let scoter = start();
    let mut state = 1_u32;
    for round in 0..300 {
        let noise: Vec<u8> = (0..round * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let mut peer = scoter.connect();
        // The server may have seen enough before everything is sent.
        let _ = peer.try_send(&noise);
        drop(peer);
    }
    assert_alive(&scoter, "noise");
}
