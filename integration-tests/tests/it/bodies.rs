//! Request bodies: whole, chunked, as they come, short, too long.

use std::io::Write;

use http_body_util::BodyExt;
use hyper::Request;
use integration_tests::{
    Body, Connections, Ending, Pattern, Peer, Scoter, ScoterBuilder, Site, get, post,
    through_nginx, until, with,
};
use sha2::{Digest, Sha256};

/// Around every boundary there is: one read, nginx's buffers, scoter's `--body-buffer`.
const LENGTHS: [u64; 10] = [
    0, 1, 1000, 5000, 16_384, 65_536, 1_048_575, 1_048_576, 1_048_577, 3_000_000,
];

/// Passes an upload on as it comes.
const UNBUFFERED: &str = "
    client_max_body_size 0;
    location / {
        include scoter/uwsgi_params;
        uwsgi_request_buffering off;
        uwsgi_pass scoter;
    }";

/// What `bodies.py` answers for a body of the test pattern.
fn digest(len: u64) -> String {
    let mut sha256 = Sha256::new();
    Pattern::with_length(len).for_each(|piece| sha256.update(piece));
    format!("{len} {}", hex(sha256.finalize()))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn upload(body: Body) -> Request<Body> {
    Request::put("/digest").body(body).expect("well-formed")
}

#[through_nginx(gateway, dev)]
fn uploads_of_every_length_arrive_unchanged(connections: Connections) {
    let site = Site::with(Scoter::serving("bodies"), connections, |nginx| {
        nginx.extra(UNBUFFERED)
    });
    for (name, client) in [
        ("buffered", site.client().clone()),
        ("unbuffered", site.extra()),
    ] {
        for len in LENGTHS {
            let reply = client.send(upload(Pattern::with_length(len).boxed()));
            assert_eq!(reply.text(), digest(len), "{name}");
            if connections == Connections::Gateway && name == "unbuffered" {
                continue; // It has no length to announce for a chunked body.
            }
            let reply = client.send(upload(Pattern::chunked(len).boxed()));
            assert_eq!(reply.text(), digest(len), "{name}, chunked");
        }
    }
}

#[through_nginx(gateway, dev)]
fn chunked_upload_looks_like_one_with_a_length(connections: Connections) {
    let site = Site::with(Scoter::serving("echo"), connections, |nginx| {
        nginx.extra(UNBUFFERED)
    });
    let clients = match connections {
        Connections::Gateway => vec![site.client().clone()],
        Connections::Closed | Connections::Kept | Connections::Dev => {
            vec![site.client().clone(), site.extra()]
        }
    };
    for client in clients {
        let request = Request::post("/").body(Pattern::chunked(5).boxed());
        let seen = client.send(request.expect("well-formed")).json();
        assert_eq!(seen["environ"]["CONTENT_LENGTH"], "5");
        assert_eq!(seen["environ"].get("HTTP_TRANSFER_ENCODING"), None);
        assert_eq!(seen["body"], "\0\u{1}\u{2}\u{3}\u{4}");
    }
}

#[test]
fn every_way_of_reading_works_on_one_body() {
    let body = "abcdefghi\nsecond\nthird\nfourth\nfifth\nrest";
    let expected = concat!(
        r#"["", "abc", "de", "fghi\n", ["second\n"], "third\n", "#,
        r#"["fourth\n", "fifth\n", "rest"], "", "", "", []]"#
    );
    // In memory, from the socket, from a file.
    for args in [
        &[][..],
        &["--body-buffer", "1"],
        &["--body-buffer", "1", "--buffer-body", "all"],
    ] {
        let scoter = Scoter::serving("bodies").args(args).start();
        let packet = post("/every_method", body.len()).to_vec().expect("fits");
        for sent_at_once in [packet.len(), packet.len() + 1, packet.len() + body.len()] {
            let bytes = [&packet, body.as_bytes()].concat();
            let (first, rest) = bytes.split_at(sent_at_once);
            let reply = scoter.connect().send(first).send(rest).reply();
            assert_eq!(reply.text(), expected, "{args:?} {sent_at_once}");
        }
    }
}

#[through_nginx(gateway)]
fn body_beyond_the_buffer_is_read_as_it_comes(connections: Connections) {
    let site = Site::with(
        Scoter::serving("bodies").args(["--body-buffer", "1"]),
        connections,
        |nginx| nginx.extra(UNBUFFERED),
    );
    let scoter = site.scoter();
    let mut client = site.extra().connect();
    client
        .write_all(
            b"POST /piecewise HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\none\n",
        )
        .expect("nginx reads");
    // The application has the first line although the second isn't sent yet.
    scoter.wait_for_event("line one");
    client.write_all(b"two\n").expect("nginx reads");
    scoter.wait_for_event("line two");
    let reply = Peer::from(client).ending().bytes();
    assert!(reply.ends_with(b"all lines read"));
}

#[test]
fn body_within_the_buffer_is_complete_before_the_application_starts() {
    let scoter = Scoter::serving("bodies").args(["--threads", "1"]).start();
    let gate = scoter.gate("body");
    let mut peer = scoter.connect();
    peer.packet(&post("/starts", 10)).send("12345");
    // The only thread is free: it answers another request.
    let other = scoter.connect().packet(&post("/everything", 0)).reply();
    assert_eq!(other.text(), "");
    assert!(scoter.events().is_empty());
    peer.send("67890");
    scoter.wait_for_event("started");
    gate.open();
    assert_eq!(peer.reply().text(), "1234567890");
}

#[test]
fn any_body_is_completed_first_when_asked_for() {
    let scoter = Scoter::serving("bodies")
        .args([
            "--threads",
            "1",
            "--buffer-body",
            "all",
            "--body-buffer",
            "64k",
        ])
        .start();
    let mut peer = scoter.connect();
    let mut pieces = Pattern::with_length(1_000_000);
    peer.packet(&post("/digest", 1_000_000));
    peer.send(pieces.next().expect("long"));
    let other = scoter.connect().packet(&post("/everything", 0)).reply();
    assert_eq!(other.text(), "");
    pieces.for_each(|piece| {
        peer.send(piece);
    });
    assert_eq!(peer.reply().text(), digest(1_000_000));
}

#[test]
fn short_body_is_an_error_for_the_application() {
    let scoter = Scoter::serving("bodies")
        .args(["--body-buffer", "1"])
        .start();
    let reply = scoter
        .connect()
        .packet(&post("/short", 100))
        .send("only these 29 bytes are sent.")
        .finish()
        .reply();
    assert_eq!((reply.status, &*reply.text()), (400, "short"));
    let events = scoter.events();
    // The message has the numbers: what came, and what should have.
    assert!(
        events[0].contains("29") && events[0].contains("100"),
        "{events:?}"
    );
}

#[test]
fn short_body_without_care_is_the_clients_fault() {
    let mut scoter = Scoter::serving("bodies")
        .args(["--body-buffer", "1"])
        .start();
    let mut peer = scoter.connect();
    peer.packet(&post("/careless", 100)).send("short").finish();
    assert_eq!(peer.reply().status, 400);
    let log = scoter.stop().stderr;
    assert!(!log.contains("Traceback"), "{log}");
}

#[test]
fn short_body_within_the_buffer_never_looks_whole() {
    let mut scoter = Scoter::serving("bodies").start();
    let mut peer = scoter.connect();
    peer.packet(&post("/short", 100)).send("short").finish();
    let answer = peer.ending().bytes();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
        "{answer:?}"
    );
    assert_eq!(
        scoter
            .connect()
            .packet(&post("/everything", 2))
            .send("ok")
            .reply()
            .text(),
        "ok"
    );
    scoter.stop();
    assert!(
        !scoter
            .events()
            .iter()
            .any(|event| event.starts_with("read "))
    );
}

#[test]
fn body_that_stops_coming_is_given_up() {
    for args in [
        &["--body-timeout", "200ms"][..],
        &["--body-timeout", "200ms", "--body-buffer", "1"],
    ] {
        let scoter = Scoter::serving("bodies")
            .args(args.iter().copied())
            .args(["--threads", "1"])
            .start();
        let mut peer = scoter.connect();
        peer.packet(&post("/careless", 100)).send("stalls");
        let answer = peer.ending().bytes();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "),
            "{answer:?}"
        );
        let other = scoter
            .connect()
            .packet(&post("/everything", 2))
            .send("ok")
            .reply();
        assert_eq!(other.text(), "ok");
    }
}

#[test]
fn bytes_behind_the_body_are_never_read() {
    let mut scoter = Scoter::serving("bodies").start();
    let second = post("/starts", 0).to_vec().expect("fits");
    for len in [0, 5] {
        for extra in [second.clone(), second.repeat(2000)] {
            let body = b"12345"[..len].to_vec();
            let packet = post("/everything", len).to_vec().expect("fits");
            let mut peer = scoter.connect();
            // The server may close before it has taken everything.
            let _ = peer.try_send(&[&packet[..], &body, &extra].concat());
            // One reply, and not lost to a reset.
            assert_eq!(peer.reply().text().as_bytes(), body);
        }
    }
    scoter.stop();
    assert!(scoter.events().is_empty());
}

#[through_nginx(gateway, dev)]
fn response_may_begin_before_the_body_is_read(connections: Connections) {
    let site = Site::with(Scoter::serving("bodies"), connections, |nginx| {
        nginx.extra(UNBUFFERED)
    });
    for client in [site.client().clone(), site.extra()] {
        let reply = client.post("/answers_first", "the body");
        assert_eq!(reply.text(), "reading:the body");
    }
}

#[test]
fn input_is_dead_when_the_request_is_over() {
    let scoter = Scoter::serving("bodies")
        .args(["--threads", "1", "--body-buffer", "1"])
        .start();
    let mut first = scoter.connect();
    first.packet(&post("/late", 1000)).send("part of the body");
    assert_eq!(first.read(15), b"HTTP/1.1 200 OK");
    let mut second = scoter.connect();
    let packet = with(get("/read_left_over"), [("CONTENT_LENGTH", "6")]);
    let reply = second.packet(&packet).send("second").reply();
    assert!(reply.text().contains("Error: "), "{}", reply.text());
}

#[test]
fn threads_waiting_for_bodies_end_with_their_peers() {
    let scoter = Scoter::serving("bodies")
        .args(["--threads", "2", "--body-buffer", "1"])
        .start();
    for _ in 0..4 {
        let mut peers = [scoter.connect(), scoter.connect()];
        for peer in &mut peers {
            peer.packet(&post("/piecewise", 100)).send("begun\n");
        }
        until("both applications wait for the rest", || {
            let begun = scoter
                .events()
                .iter()
                .filter(|event| *event == "line begun")
                .count();
            (begun % 2 == 0 && begun > 0).then_some(())
        });
    }
    let reply = scoter
        .connect()
        .packet(&post("/everything", 2))
        .send("ok")
        .reply();
    assert_eq!(reply.text(), "ok");
}

/// A server whose memory a request can make scarce: no thread has an arena of its own, which reserves more than is
/// used, and none is about to be started.
fn of_one_thread() -> ScoterBuilder {
    let scoter = Scoter::serving("bodies").env("MALLOC_ARENA_MAX", "1");
    scoter.args(["--threads", "1"])
}

#[test]
fn body_too_large_for_memory_is_not_lost() {
    // One line of 20 MB.
    let body: String = (0..2_500_000)
        .map(|number| format!("{number:08}"))
        .collect();
    let expected = format!("{} {}", body.len(), hex(Sha256::digest(&body)));
    // From the socket, in memory, from a file.
    for args in [
        &[][..],
        &["--body-buffer", "32M"],
        &["--buffer-body", "all"],
    ] {
        for method in ["read", "readline", "readlines"] {
            let scoter = of_one_thread().args(args).start();
            let packet = post("/recovers", body.len());
            let packet = with(packet, [("QUERY_STRING", method)]);
            let reply = scoter.connect().packet(&packet).send(&body).reply();
            assert_eq!(scoter.events(), ["MemoryError"], "{args:?} {method}");
            assert_eq!(reply.text(), expected, "{args:?} {method}");
        }
    }
}

#[test]
fn body_too_large_for_memory_costs_one_request() {
    for (method, body) in [
        ("read", "x".repeat(20_000_000)),
        ("readline", "x".repeat(20_000_000)),
        ("readlines", "line\n".repeat(4_000_000)),
    ] {
        let scoter = of_one_thread().start();
        let worker = scoter.worker().pid();
        let packet = with(post("/starves", body.len()), [("QUERY_STRING", method)]);
        let reply = scoter.connect().packet(&packet).send(&body).reply();
        assert_eq!(reply.status, 500, "{method}");
        scoter.wait_for_log("MemoryError");
        let packet = post("/everything", body.len());
        let reply = scoter.connect().packet(&packet).send(&body).reply();
        assert!(reply.text() == body, "{method}");
        assert_eq!(scoter.worker().pid(), worker, "{method}");
    }
}

#[through_nginx(gateway, dev)]
fn complete_body_can_be_read_again(connections: Connections) {
    for (args, len, expected) in [
        (&[][..], 0, "0 twice"),
        (&[], 1_000, "1000 twice"),
        (&[], 1_000_000, "1000000 twice"),
        (&[], 2_000_000, "2000000 once"),
        (&["--buffer-body", "all"], 2_000_000, "2000000 twice"),
    ] {
        let site = Site::of(Scoter::serving("bodies").args(args), connections);
        let reply = site.post("/rereads", vec![b'x'; len]);
        assert_eq!(reply.text(), expected, "{args:?}");
    }
}

#[test]
fn body_for_which_there_is_no_memory_is_a_500_for_that_request() {
    let scoter = Scoter::serving("bodies")
        .args(["--body-buffer", "1G", "--buffer-body", "all"])
        .start();
    let worker = scoter.worker();
    // The first body that waits may need a thread, which stays.
    let mut peer = scoter.connect();
    peer.packet(&post("/everything", 4)).send("ab");
    peer.send("cd");
    assert_eq!(peer.reply().text(), "abcd");
    worker.limit_memory(100 * 1024);

    let mut peer = scoter.connect();
    peer.packet(&post("/everything", 1 << 29));
    let piece = vec![b'x'; 1 << 20];
    // Until the server does not want any more of it.
    let sent = (0..512)
        .take_while(|_| peer.try_send(&piece).is_ok())
        .count();
    let reply = peer.ending();
    let reply = match reply {
        Ending::Closed(bytes) | Ending::Reset(bytes) => {
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    assert!(
        reply.starts_with("HTTP/1.1 500 "),
        "{sent} MiB, then {reply:?}"
    );
    assert!(!reply.contains("memory"), "{reply}");
    let line = scoter.wait_for_log("out of memory for the request");
    assert!(line.contains("ERROR worker=1"), "{line}");

    assert_eq!(
        scoter
            .connect()
            .packet(&post("/everything", 3))
            .send("abc")
            .reply()
            .text(),
        "abc"
    );
    assert_eq!(scoter.worker().pid(), worker.pid());
}

#[test]
fn text_too_long_for_the_log_costs_one_request() {
    // Too much for the stream, and enough for that but not for the message that is made of it.
    for (spare_kib, status, said) in [
        (20 * 1024, 500, "MemoryError"),
        (60 * 1024, 200, "was lost: out of memory"),
    ] {
        let body = "x".repeat(40_000_000) + "\n";
        let scoter = of_one_thread().start();
        let worker = scoter.worker();
        let gate = scoter.gate("memory");
        let mut peer = scoter.connect();
        peer.packet(&post("/logs", body.len())).send(&body);
        scoter.wait_for_event("read");
        worker.limit_memory(spare_kib);
        gate.open();
        assert_eq!(peer.reply().status, status);
        scoter.wait_for_log(said);
        let packet = post("/everything", 3);
        let reply = scoter.connect().packet(&packet).send("abc").reply();
        assert_eq!(reply.text(), "abc");
        assert_eq!(scoter.worker().pid(), worker.pid());
    }
}
