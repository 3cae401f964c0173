//! Peers that are slow, beside others that are not.

use std::time::{Duration, Instant};

use integration_tests::{
    Connections, Ending, Peer, Scoter, Site, get, post, through_nginx, until, with,
};

/// Answers many requests and checks that none had to wait for a slow neighbour.
#[track_caller]
fn assert_others_are_answered(scoter: &Scoter) {
    let start = Instant::now();
    let request = [&post("/everything", 2).to_vec().expect("fits")[..], b"ok"].concat();
    for _ in 0..100 {
        assert_eq!(scoter.connect().send(&request).reply().text(), "ok");
    }
    // The deadlines that would free a thread held by a neighbour are 10 and 60 seconds.
    let elapsed = start.elapsed();
    assert!(
        elapsed < Duration::from_secs(5),
        "100 requests took {elapsed:?}"
    );
}

#[test]
fn stalled_heads_and_bodies_hold_no_thread() {
    let scoter = Scoter::serving("bodies").args(["--threads", "2"]).start();
    let packet = post("/everything", 1000).to_vec().expect("fits");
    let body = [b'x'; 1000];

    let mut heads: Vec<_> = (0..64).map(|_| scoter.connect()).collect();
    for (number, peer) in heads.iter_mut().enumerate() {
        // After 1, 2, 3 … bytes: in the header, between a key and its value, anywhere.
        peer.send(&packet[..1 + number % (packet.len() - 1)]);
    }
    assert_others_are_answered(&scoter);
    let mut bodies: Vec<_> = (0..64).map(|_| scoter.connect()).collect();
    for (number, peer) in bodies.iter_mut().enumerate() {
        peer.send(&packet).send(&body[..number]);
    }
    assert_others_are_answered(&scoter);

    // None of them is lost.
    for (number, peer) in heads.iter_mut().enumerate() {
        peer.send(&packet[1 + number % (packet.len() - 1)..])
            .send(body);
        assert_eq!(peer.reply().body, &body[..], "head {number}");
    }
    for (number, peer) in bodies.iter_mut().enumerate() {
        peer.send(&body[number..]);
        assert_eq!(peer.reply().body, &body[..], "body {number}");
    }
}

#[test]
fn request_may_come_byte_by_byte() {
    let scoter = Scoter::serving("bodies").args(["--threads", "1"]).start();
    let bytes = [
        &post("/everything", 9).to_vec().expect("fits")[..],
        b"in pieces",
    ]
    .concat();
    let mut peer = scoter.connect();
    for byte in bytes.chunks(1) {
        peer.send(byte);
    }
    assert_eq!(peer.reply().text(), "in pieces");
}

#[test]
fn silent_connections_hold_no_thread() {
    let scoter = Scoter::serving("bodies").args(["--threads", "2"]).start();
    let _silent: Vec<_> = (0..64).map(|_| scoter.connect()).collect();
    assert_others_are_answered(&scoter);
}

#[test]
fn slow_readers_of_known_responses_hold_no_thread() {
    let scoter = Scoter::serving("transfer").args(["--threads", "2"]).start();
    let len = 5_000_000;
    let big = with(get("/at_once"), [("QUERY_STRING", len.to_string())]);
    let small = with(get("/at_once"), [("QUERY_STRING", "10")]);
    let mut slow: Vec<_> = (0..8).map(|_| scoter.connect()).collect();
    for peer in &mut slow {
        peer.packet(&big);
    }
    for _ in 0..50 {
        assert_eq!(scoter.connect().packet(&small).reply().body.len(), 10);
    }
    let expected = slow[0].reply().body;
    assert_eq!(expected.len(), len);
    for peer in &mut slow[1..] {
        assert!(peer.reply().body == expected);
    }
}

#[test]
fn slow_reader_of_a_known_response_is_given_up() {
    let scoter = Scoter::serving("transfer")
        .args(["--threads", "1", "--write-timeout", "200ms"])
        .start();
    let mut slow = scoter.connect();
    slow.packet(&with(get("/at_once"), [("QUERY_STRING", "5000000")]));
    assert_eq!(slow.read(12), b"HTTP/1.1 200");
    // Written when the last byte is sent, or is known never to be.
    scoter.wait_for_access_log(1);
    let (Ending::Closed(rest) | Ending::Reset(rest)) = slow.ending();
    assert!(rest.len() < 5_000_000, "{} bytes", rest.len());
}

#[test]
fn peer_that_has_said_everything_is_answered() {
    let scoter = Scoter::serving("bodies").args(["--threads", "1"]).start();
    for len in [0, 10, 300_000, 2_000_000] {
        let mut peer = scoter.connect();
        let body = vec![b'x'; len];
        peer.packet(&post("/everything", len)).send(&body).finish();
        assert!(peer.reply().body == body, "{len}");
    }
}

#[test]
fn running_out_of_files_is_survived() {
    let scoter = Scoter::serving("bodies").limit_files(72).start();
    let packet = post("/everything", 2).to_vec().expect("fits");
    let begin = |_| {
        let mut peer = scoter.connect();
        drop(peer.try_send(&packet));
        peer
    };
    let mut many: Vec<_> = (0..200).map(begin).collect();
    assert_others_are_answered(&scoter);
    let mut served = 0;
    for peer in &mut many {
        drop(peer.try_send(b"ok"));
        let answer = peer.ending().bytes();
        let text = String::from_utf8_lossy(&answer);
        if text.starts_with("HTTP/1.1 200 ") && text.ends_with("ok") {
            served += 1;
        } else {
            // Few may wait, for there are few descriptors. Who has not sent a byte when the next
            // one comes is closed for it.
            let is_turned_away = text.is_empty() || text.starts_with("HTTP/1.1 503 ");
            assert!(is_turned_away, "{text}");
        }
    }
    assert!(served >= 2, "{served}");
    assert_others_are_answered(&scoter);
}

#[test]
fn half_a_packet_is_given_up_after_the_deadline() {
    let scoter = Scoter::serving("bodies")
        .args(["--header-timeout", "200ms"])
        .start();
    let packet = get("/everything").to_vec().expect("fits");
    for sent in [
        &packet[..0],
        &packet[..3],
        &packet[..4],
        &packet[..packet.len() - 1],
    ] {
        let mut peer = scoter.connect();
        let answer = peer.send(sent).ending();
        if sent.is_empty() {
            assert_eq!(answer.bytes(), b"");
            continue;
        }
        let reply = answer.reply();
        let said = format!("{} bytes of a packet", sent.len());
        assert_eq!(reply.status, 408, "{said}");
        assert!(reply.text().contains(&said), "{}", reply.text());
    }
    assert_others_are_answered(&scoter);
}

#[test]
fn connections_without_a_byte_are_nobodys_business() {
    // Health checks do that.
    let mut scoter = Scoter::serving("bodies").start();
    let before = scoter.stderr();
    for _ in 0..20 {
        drop(scoter.connect());
        assert!(scoter.connect().finish().ending().bytes().is_empty());
    }
    assert_others_are_answered(&scoter);
    assert_eq!(scoter.stderr(), before);
    let log = scoter.stop();
    assert_eq!(
        log.stdout.lines().count(),
        100,
        "only the requests are logged: {}",
        log.stdout
    );
}

#[test]
fn pending_connections_are_bounded() {
    let scoter = Scoter::serving("bodies")
        .args(["--threads", "2", "--max-pending", "8"])
        .start();
    let packet = post("/everything", 10).to_vec().expect("fits");
    let mut peers: Vec<Peer> = (0..30).map(|_| scoter.connect()).collect();
    let begun = [&packet[..], b"0"].concat();
    for peer in &mut peers {
        // It may be refused already.
        let _ = peer.try_send(&begun);
    }
    // A complete request needs no place, if it is there when its connection is accepted. The kernel hands
    // connections out in order: all the others have been judged by then.
    let complete = [&packet[..], b"0123456789"].concat();
    until("a complete request is served", || {
        let mut peer = scoter.connect();
        let _ = peer.try_send(&complete);
        let (Ending::Closed(answer) | Ending::Reset(answer)) = peer.ending();
        answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    let mut served = 0;
    for peer in &mut peers {
        let _ = peer.try_send(b"123456789");
        let (Ending::Closed(answer) | Ending::Reset(answer)) = peer.ending();
        match answer.starts_with(b"HTTP/1.1 200 ") {
            true => served += 1,
            false => assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 ")),
        }
    }
    assert_eq!(served, 8);
}

#[through_nginx(gateway)]
fn slow_client_of_nginx_delays_nobody(connections: Connections) {
    let site = Site::with(
        Scoter::serving("bodies").args(["--threads", "1"]),
        connections,
        |nginx| {
            nginx.extra(
                "location / {
                 include scoter/uwsgi_params;
                 uwsgi_request_buffering off;
                 uwsgi_pass scoter;
             }",
            )
        },
    );
    let mut slow: Vec<_> = (0..8)
        .map(|_| {
            let mut peer = Peer::from(site.extra().connect());
            peer.send("POST /everything HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234");
            peer
        })
        .collect();
    assert_eq!(site.post("/everything", "ok").text(), "ok");
    for peer in &mut slow {
        let answer = peer.send("56789").ending().bytes();
        assert!(answer.ends_with(b"\r\n\r\n0123456789"));
    }
}
