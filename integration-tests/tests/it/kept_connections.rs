//! Connections that serve one request after the other, and those that must not.

use integration_tests::{
    Ending, Peer, Reply, Scoter, ScoterBuilder, get, keeping, passed_on, post, request, until, with,
};
use serde_json::Value;
use uwsgi_codec::PacketBuilder;

fn serving() -> ScoterBuilder {
    Scoter::serving("kept")
}

/// A request without a body that asks to keep the connection.
pub(crate) fn asking(path: &str) -> PacketBuilder {
    keeping(get(path), 0)
}

/// A request with a body that asks to keep the connection, and its body.
pub(crate) fn posting(path: &str, body: &[u8]) -> Vec<u8> {
    let packet = keeping(post(path, body.len()), body.len());
    [&bytes(&packet)[..], body].concat()
}

fn bytes(packet: &PacketBuilder) -> Vec<u8> {
    packet.to_vec().expect("fits")
}

/// Whether the server has agreed to keep the connection.
pub(crate) fn agrees(reply: &Reply) -> bool {
    reply.header("Connection") == Some("keep-alive")
}

/// A figure of `kept_connections` in the status.
pub(crate) fn figure(scoter: &Scoter, name: &str) -> u64 {
    let status = scoter.status();
    let figure = &status["totals"]["kept_connections"][name];
    figure
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {:?}", Value::Null))
}

#[track_caller]
fn assert_serves(peer: &mut Peer, name: &str) {
    peer.packet(&asking("/text"));
    let reply = peer.next_reply("GET");
    assert_eq!((reply.status, &*reply.text()), (200, "text"), "{name}");
}

#[track_caller]
fn assert_ended(peer: &mut Peer, name: &str) {
    let end = peer.ending();
    assert!(
        matches!(&end, Ending::Closed(more) if more.is_empty()),
        "{name}: {end:?}"
    );
}

#[test]
fn status_says_whether_connections_are_kept() {
    let line = |scoter: &Scoter| {
        let status = scoter.command(["status"]).stdout;
        let line = status
            .lines()
            .find(|line| line.starts_with("kept connections: "));
        line.expect("a line").to_owned()
    };
    let scoter = serving().args(["--keep-alive", "0"]).start();
    assert_eq!(line(&scoter), "kept connections: off (--keep-alive 0)");
    let scoter = serving().start();
    assert_eq!(line(&scoter), "kept connections: none");
    let mut peer = scoter.connect();
    assert_serves(&mut peer, "first");
    assert_serves(&mut peer, "second");
    let expected = "kept connections: 1 idle, reused 1, passed on 0, out of step 0";
    until("the connection is idle", || {
        (line(&scoter) == expected).then_some(())
    });
}

#[test]
fn connection_serves_one_request_after_the_other() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    for round in 0..3 {
        for path in [
            "/text",
            "/empty",
            "/file",
            "/large",
            "/generator",
            "/write",
            "/no_content",
            "/not_modified",
        ] {
            peer.packet(&asking(path));
            let reply = peer.next_reply("GET");
            assert!(agrees(&reply), "{path}, {round}");
            assert!(reply.status < 400, "{path}, {round}");
        }
        peer.packet(&keeping(request("HEAD", "/text"), "HEAD"));
        let reply = peer.next_reply("HEAD");
        assert!(
            agrees(&reply) && reply.header("Content-Length") == Some("4"),
            "{reply:?}"
        );
        for body in [&b""[..], b"x", &[b'x'; 100_000], &vec![b'y'; 900_000]] {
            peer.send(posting("/body", body));
            let reply = peer.next_reply("POST");
            assert!(agrees(&reply) && reply.body == body, "{} bytes", body.len());
        }
        peer.send(posting("/unread", &[b'x'; 100_000]));
        assert_eq!(peer.next_reply("POST").text(), "unread");
    }
    until("the connection is idle", || {
        (figure(&scoter, "idle") == 1).then_some(())
    });
    assert_eq!(figure(&scoter, "reused"), 3 * 14 - 1);
    assert_eq!(figure(&scoter, "out_of_step"), 0);
    assert!(!peer.has_news());
    drop(peer);
    until("nothing is kept", || {
        (figure(&scoter, "idle") == 0).then_some(())
    });
}

#[test]
fn packet_and_body_may_come_byte_by_byte() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    for _ in 0..3 {
        for byte in posting("/body", b"slowly") {
            peer.send([byte]);
        }
        let reply = peer.next_reply("POST");
        assert!(agrees(&reply), "{reply:?}");
        assert_eq!(reply.text(), "slowly");
    }
    assert_eq!(figure(&scoter, "out_of_step"), 0);
}

#[test]
fn who_does_not_ask_is_closed() {
    let scoter = serving().start();
    for packet in [
        get("/text"),
        keeping(get("/text"), ""),
        keeping(get("/text"), "+0"),
        keeping(get("/text"), "on"),
    ] {
        let mut peer = scoter.connect();
        let reply = peer.packet(&packet).reply();
        assert_eq!(reply.header("Connection"), None);
        assert_eq!(reply.text(), "text");
    }
    // Nor does it help to have asked once.
    let mut peer = scoter.connect();
    assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    assert!(!agrees(&peer.packet(&get("/text")).reply()));
    assert_eq!(figure(&scoter, "out_of_step"), 0);
}

#[test]
fn option_turns_it_off() {
    let scoter = serving().args(["--keep-alive", "0"]).start();
    assert!(!agrees(&scoter.connect().packet(&asking("/text")).reply()));
}

#[test]
fn response_without_an_announced_end_is_the_last_one() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    assert_serves(&mut peer, "before");
    let reply = peer.packet(&asking("/generator_without_length")).reply();
    assert_eq!((agrees(&reply), &*reply.text()), (false, "generator"));
}

#[test]
fn response_that_fails_is_the_last_one() {
    let scoter = serving().start();
    for (path, status, says_so) in [
        ("/raises", 500, false),
        ("/raises_behind_the_head", 200, true),
        ("/too_short", 200, true),
    ] {
        let mut peer = scoter.connect();
        assert_serves(&mut peer, path);
        let reply = peer.packet(&asking(path)).reply();
        assert_eq!((reply.status, agrees(&reply)), (status, says_so), "{path}");
    }
}

#[test]
fn application_has_no_say() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    peer.packet(&asking("/says_close"));
    let reply = peer.next_reply("GET");
    assert!(agrees(&reply), "{reply:?}");
    assert_eq!(reply.header("Keep-Alive"), None);
    assert_serves(&mut peer, "after it");
}

#[test]
fn body_that_is_longer_than_announced_is_cut_and_the_connection_kept() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    peer.packet(&asking("/too_long"));
    assert_eq!(peer.next_reply("GET").text(), "full");
    assert_serves(&mut peer, "after it");
}

#[test]
fn front_end_that_announces_another_length_than_it_sends_is_closed() {
    let scoter = serving().start();
    let mut cases = 0;
    for (name, packet, body) in [
        ("hidden body", keeping(post("/body", 0), 5), &b"hello"[..]),
        (
            "body that never comes",
            keeping(post("/unread", 5), 0),
            b"hello",
        ),
        (
            "head with a body",
            keeping(
                with(request("HEAD", "/text"), [("CONTENT_LENGTH", "5")]),
                "HEAD",
            ),
            b"hello",
        ),
        (
            "head taken for get",
            keeping(request("HEAD", "/text"), 0),
            b"",
        ),
        ("get taken for head", keeping(get("/text"), "HEAD"), b""),
        ("trailing bytes", keeping(post("/body", 3), 3), b"hello"),
        (
            "another packet behind it",
            keeping(post("/body", 0), 0),
            &bytes(&asking("/text"))[..],
        ),
    ] {
        let mut peer = scoter.connect();
        peer.send([&bytes(&packet)[..], body].concat());
        let reply = peer.reply();
        assert_eq!((reply.status, agrees(&reply)), (200, false), "{name}");
        assert!(reply.body.len() <= 6, "{name}: one response");
        cases += 1;
    }
    assert_eq!(figure(&scoter, "out_of_step"), cases);
    scoter.wait_for_log("connections not kept");
}

#[test]
fn bytes_before_the_response_end_the_connection() {
    let scoter = serving().start();
    let gate = scoter.gate("early");
    let mut peer = scoter.connect();
    peer.packet(&keeping(
        with(get("/waits"), [("QUERY_STRING", "early")]),
        0,
    ));
    scoter.wait_for_event("begun early");
    // A complete request: it must not be served.
    peer.packet(&asking("/raises"));
    gate.open();
    let reply = peer.reply();
    assert_eq!((agrees(&reply), &*reply.text()), (false, "waited at early"));
    assert_eq!(figure(&scoter, "out_of_step"), 1);
    assert_eq!(scoter.log_lines("KeyError"), [""; 0]);
}

#[test]
fn peer_that_closes_before_the_response_is_not_out_of_step() {
    let scoter = serving().start();
    let gate = scoter.gate("gone");
    let mut peer = scoter.connect();
    peer.packet(&keeping(with(get("/waits"), [("QUERY_STRING", "gone")]), 0));
    scoter.wait_for_event("begun gone");
    peer.finish();
    gate.open();
    assert!(!agrees(&peer.reply()));
    assert_eq!(figure(&scoter, "out_of_step"), 0);
}

#[test]
fn body_that_the_application_reads_as_it_comes_is_the_last_one() {
    let scoter = serving().args(["--body-buffer", "1000"]).start();
    for path in ["/body", "/unread"] {
        let mut peer = scoter.connect();
        assert_serves(&mut peer, path);
        let reply = peer.send(posting(path, &vec![b'x'; 400_000])).reply();
        assert_eq!((reply.status, agrees(&reply)), (200, false), "{path}");
    }
    // Spooled to a file it has arrived before the application runs.
    let scoter = serving()
        .args(["--body-buffer", "1000", "--buffer-body", "all"])
        .start();
    let mut peer = scoter.connect();
    for _ in 0..2 {
        peer.send(posting("/body", &[b'x'; 5_000]));
        let reply = peer.next_reply("POST");
        assert!(agrees(&reply) && reply.body.len() == 5_000);
    }
}

#[test]
fn short_body_is_no_request() {
    let scoter = serving().start();
    let mut peer = scoter.connect();
    assert_serves(&mut peer, "before");
    let whole = posting("/body", b"hello");
    peer.send(&whole[..whole.len() - 1]).finish();
    assert_ended(&mut peer, "short body");
}

#[test]
fn garbage_on_a_kept_connection_is_refused_and_counted() {
    let scoter = serving().start();
    for (name, garbage) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]),
        ("empty block", &[0, 0, 0, 0]),
        ("other modifier", &[5, 0, 0, 0]),
    ] {
        let mut peer = scoter.connect();
        assert_serves(&mut peer, name);
        peer.send(garbage);
        peer.finish();
        let answer = peer.ending().bytes();
        assert!(
            !answer.windows(9).any(|bytes| bytes == b" 200 OK\r\n"),
            "{name}"
        );
    }
    until("they are counted", || {
        (figure(&scoter, "out_of_step") >= 2).then_some(())
    });
}

#[test]
fn objects_of_a_request_do_not_reach_the_next_one() {
    let scoter = serving().args(["--request-timeout", "1m"]).start();
    let mut peer = scoter.connect();
    peer.packet(&asking("/writes_late"));
    assert!(agrees(&peer.next_reply("GET")));
    let begun = posting("/body", b"not for them");
    peer.send(&begun[..begun.len() - 3]);
    scoter.wait_for_event("write RuntimeError");
    peer.send(&begun[begun.len() - 3..]);
    assert_eq!(peer.next_reply("POST").text(), "not for them");
}

#[test]
fn application_that_closes_descriptors_ends_no_kept_connection() {
    let scoter = serving().start();
    let mut peers: Vec<_> = (0..10).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        assert_serves(peer, "before");
    }
    until("all of them wait", || {
        (figure(&scoter, "idle") == 10).then_some(())
    });
    peers[0].packet(&asking("/closes_descriptors"));
    assert_eq!(peers[0].next_reply("GET").text(), "closed");
    for peer in &mut peers {
        assert_serves(peer, "after");
    }
}

#[test]
fn requests_on_a_connection_are_bounded() {
    let scoter = serving().args(["--keep-alive-requests", "3"]).start();
    let mut peer = scoter.connect();
    for last in [false, false, true] {
        peer.packet(&asking("/text"));
        assert_eq!(agrees(&peer.next_reply("GET")), !last);
    }
    assert_ended(&mut peer, "the bound");
}

#[test]
fn connections_beyond_the_bound_are_served_and_closed() {
    let scoter = serving().args(["--keep-alive", "2"]).start();
    let mut peers: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
    let kept: Vec<_> = peers
        .iter_mut()
        .map(|peer| agrees(&peer.packet(&asking("/text")).next_reply("GET")))
        .collect();
    assert_eq!(kept, [true, true, false, false]);
    // Those that are kept stay so, and a place that is free is given away.
    for peer in &mut peers[..2] {
        assert_serves(peer, "kept");
    }
    for peer in &mut peers[2..] {
        assert_ended(peer, "not kept");
    }
    peers.truncate(1);
    until("a place is free", || {
        (figure(&scoter, "idle") == 1).then_some(())
    });
    let mut peer = scoter.connect();
    assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    assert_serves(&mut peer, "in its place");
}

#[test]
fn connection_that_waits_for_too_long_is_closed() {
    let scoter = serving().args(["--keep-alive-timeout", "200ms"]).start();
    let mut peer = scoter.connect();
    assert_serves(&mut peer, "at first");
    assert_ended(&mut peer, "then");
    assert_eq!(figure(&scoter, "idle"), 0);
}

#[test]
fn header_timeout_counts_from_the_first_byte_of_a_request() {
    let scoter = serving().args(["--header-timeout", "300ms"]).start();
    let mut peer = scoter.connect();
    assert_serves(&mut peer, "at first");
    integration_tests::elapse(std::time::Duration::from_millis(700));
    assert_serves(&mut peer, "after a pause");
    peer.send(&bytes(&asking("/text"))[..7]);
    assert_eq!(peer.reply().status, 408);
}

#[test]
fn access_log_has_the_time_of_each_request() {
    /// Long enough that no request takes as long.
    const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
    let scoter = serving().args(["--access-log-format", "json"]).start();
    let mut peer = scoter.connect();
    for pause in [std::time::Duration::ZERO, PAUSE] {
        integration_tests::elapse(pause);
        let packet = passed_on(asking("/text"), std::time::Duration::ZERO);
        assert_eq!(peer.packet(&packet).next_reply("GET").status, 200);
    }
    for line in scoter.wait_for_access_log(2) {
        let entry: Value = serde_json::from_str(&line).expect("JSON");
        for key in ["duration_ms", "queue_ms"] {
            let milliseconds = entry[key].as_f64().expect("a number");
            assert!(milliseconds < PAUSE.as_secs_f64() * 1_000.0, "{line}");
        }
    }
}

#[test]
fn many_connections_take_turns() {
    let scoter = serving().args(["--threads", "3"]).start();
    let mut peers: Vec<_> = (0..50).map(|_| scoter.connect()).collect();
    for round in 0..20 {
        for peer in &mut peers {
            peer.packet(&asking("/text"));
        }
        for peer in &mut peers {
            let reply = peer.next_reply("GET");
            assert!(agrees(&reply) && reply.text() == "text", "{round}");
        }
        // Others come in between.
        assert_eq!(
            scoter.connect().packet(&get("/text")).reply().text(),
            "text"
        );
    }
    assert_eq!(figure(&scoter, "reused"), 50 * 19);
}

#[test]
fn tcp_connections_are_kept_too() {
    use std::io::{Read, Write};
    let scoter = serving().args(["--bind", "127.0.0.1:0"]).start();
    let mut stream = std::net::TcpStream::connect(scoter.tcp_address()).expect("it listens");
    for _ in 0..5 {
        stream
            .write_all(&posting("/body", b"over TCP"))
            .expect("open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"over TCP") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("open");
            answer.extend(byte);
        }
    }
    assert_eq!(figure(&scoter, "reused"), 4);
}

#[test]
fn server_without_a_master_keeps_connections() {
    let scoter = serving().args(["--no-master"]).start();
    let mut peer = scoter.connect();
    for _ in 0..3 {
        assert_serves(&mut peer, "without a master");
    }
}
