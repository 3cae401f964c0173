//! Responses whose pieces reach the client as they are made, and clients that go away.

use hyper::Request;
use integration_tests::{
    Completeness, Connections, Open, Pattern, Scoter, Site, empty, get, through_nginx, until, with,
};

fn open(site: &Site, path: &str) -> Open {
    site.open(Request::get(path).body(empty()).expect("well-formed"))
}

#[through_nginx(gateway, dev)]
fn client_sees_each_piece_before_the_next_is_made(connections: Connections) {
    let site = Site::serving("streaming", connections);
    let gate = site.scoter().gate("chunk");
    for path in ["/gated", "/gated_writes"] {
        let mut response = open(&site, path);
        assert_eq!(response.read(6), "first\n", "{path}");
        gate.open();
        assert_eq!(response.read(7), "second\n", "{path}");
        gate.open();
        let (rest, completeness) = response.rest();
        assert_eq!(rest, "third\n", "{path}");
        assert_eq!(completeness, Completeness::Complete, "{path}");
    }
    // Of the first only, and after its last piece.
    site.scoter().wait_for_event("closed");
    assert_eq!(site.scoter().events(), ["exhausted", "closed"]);
}

#[test]
fn head_waits_for_the_first_piece_and_leaves_with_it() {
    let scoter = Scoter::serving("streaming").start();
    let gate = scoter.gate("chunk");
    let mut peer = scoter.connect();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Accel-Buffering: no\r\n\r\nfirst\n";
    let first = peer.packet(&get("/gated")).read(head.len());
    assert_eq!(String::from_utf8_lossy(&first), head);
    gate.open_for(2);
    assert_eq!(peer.ending().bytes(), b"second\nthird\n");
}

#[through_nginx(gateway, dev)]
fn response_of_a_client_that_left_is_closed(connections: Connections) {
    let site = Site::serving("streaming", connections);
    for (number, path) in ["/endless", "/endless_writes"].into_iter().enumerate() {
        let mut response = open(&site, path);
        response.read(1000);
        drop(response);
        let expected = ["closed", "write raised"][number];
        until(expected, || {
            site.scoter()
                .events()
                .iter()
                .any(|event| event.starts_with(expected))
                .then_some(())
        });
    }
    // The error that write() raised is an OSError, and not in the log: nobody did anything wrong.
    let log = site.scoter().stderr();
    assert!(
        !log.contains("Traceback") && !log.contains("roken pipe"),
        "{log}"
    );
}

#[test]
fn response_of_a_client_that_left_is_closed_once() {
    let mut scoter = Scoter::serving("streaming").start();
    let gate = scoter.gate("chunk");
    let mut peer = scoter.connect();
    peer.packet(&get("/gated")).read(15);
    drop(peer);
    gate.open_for(2);
    scoter.wait_for_event("closed");
    scoter.stop();
    let closed = scoter
        .events()
        .iter()
        .filter(|event| *event == "closed")
        .count();
    assert_eq!(closed, 1);
}

#[test]
fn clients_that_leave_take_nothing_along() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--threads", "2"])
        .start();
    // Everything that is opened lazily is open after the first request.
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
    let worker = scoter.worker();
    let before = worker.open_files();
    let packet = get("/quick").to_vec().expect("fits");
    for round in 0..50 {
        let mut leaving = scoter.connect();
        leaving.packet(&get("/endless"));
        if round % 2 == 0 {
            leaving.read(100);
        }
        drop(leaving);
        drop(scoter.connect());
        scoter.connect().send(&packet[..packet.len() / 2]);
        scoter.connect().send(&packet);
        scoter
            .connect()
            .packet(&integration_tests::post("/quick", 1000))
            .send("part");
    }
    until("every file is closed", || {
        assert_eq!(
            scoter.connect().packet(&get("/quick")).reply().text(),
            "quick"
        );
        (worker.open_files() <= before).then_some(())
    });
    // Both slots are left to serve, at the same time.
    let gates = [scoter.gate("a"), scoter.gate("b")];
    let mut waiting = [scoter.begin("a"), scoter.begin("b")];
    for (peer, gate) in waiting.iter_mut().zip(gates) {
        gate.open();
        assert_eq!(peer.reply().status, 200);
    }
    scoter.stop();
    let events = scoter.events();
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!(count("closed"), count("endless begins"), "{events:?}");
    // Those that have read a part.
    assert!(count("closed") >= 25, "{events:?}");
}

#[test]
fn head_of_an_endless_response_ends() {
    let scoter = Scoter::serving("streaming")
        .args(["--threads", "1"])
        .start();
    let packet = with(get("/endless"), [("REQUEST_METHOD", "HEAD")]);
    assert_eq!(scoter.connect().packet(&packet).reply().text(), "");
    scoter.wait_for_event("closed");
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
}

#[test]
fn lists_of_many_chunks_arrive_whole() {
    // More than the kernel takes in one call (1024), small ones and such that are sent without a copy.
    let scoter = Scoter::serving("transfer").start();
    let block: Vec<u8> = Pattern::with_length(251 * 241 * 2).flatten().collect();
    for (count, size) in [(5000, 1), (3000, 100), (1500, 17_000)] {
        let packet = with(get("/many"), [("QUERY_STRING", format!("{count},{size}"))]);
        let body = scoter.connect().packet(&packet).reply().body;
        assert_eq!(body.len(), count * size);
        for (number, chunk) in body.chunks(size).enumerate() {
            assert!(
                *chunk == block[number..number + size],
                "chunk {number} of {count}"
            );
        }
    }
}

#[test]
fn reader_that_stands_still_is_given_up() {
    let scoter = Scoter::serving("streaming")
        .args(["--threads", "1", "--write-timeout", "200ms"])
        .start();
    let mut idle = scoter.connect();
    idle.packet(&get("/endless")).read(100);
    scoter.wait_for_event("closed");
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
}

#[test]
fn thread_that_writes_on_does_not_keep_the_response_open() {
    let scoter = Scoter::serving("streaming").start();
    for round in 1..=5 {
        let text = scoter.connect().packet(&get("/writes_on")).reply().text();
        assert!(
            text.ends_with("\nthe end\n"),
            "{round}: {} bytes",
            text.len()
        );
        until("the thread has been told", || {
            (scoter.events().len() == round).then_some(())
        });
    }
    let said = scoter.events();
    let expected = "write raised write() called after the end of the request";
    assert!(said.iter().all(|event| event == expected), "{said:?}");
}
