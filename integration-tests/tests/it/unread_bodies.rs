//! Applications that refuse an upload without reading it. uWSGI closes the socket then, the kernel resets the
//! connection, and nginx answers 502 or half a page.

use integration_tests::{Connections, Scoter, Site, get, post, through_nginx};

#[through_nginx(gateway)]
fn refusal_reaches_the_client_whatever_the_length(connections: Connections) {
    let site = Site::with(
        Scoter::serving("bodies").args(["--threads", "1"]),
        connections,
        |nginx| {
            nginx.extra(
                "client_max_body_size 0;
             location / {
                 include scoter/uwsgi_params;
                 uwsgi_request_buffering off;
                 uwsgi_pass scoter;
             }",
            )
        },
    );
    for (name, client) in [
        ("buffered", site.client().clone()),
        ("unbuffered", site.extra()),
    ] {
        for len in [1, 1000, 5000, 100_000, 2_000_000, 20_000_000] {
            for attempt in 0..3 {
                let reply = client.post("/unread", vec![b'x'; len]);
                assert_eq!(reply.status, 413, "{name} {len} {attempt}");
                assert_eq!(
                    reply.text(),
                    "too much\n".repeat(1000),
                    "{name} {len} {attempt}"
                );
            }
            let reply = client.post("/peek", vec![b'x'; len]);
            assert_eq!(reply.status, 413, "{name} {len}");
            let expected = format!("{} is enough", "x".repeat(len.min(4)));
            assert_eq!(reply.text(), expected, "{name} {len}");
        }
    }
    assert_eq!(site.failures(), "");
}

#[test]
fn refusal_is_sent_before_the_body_has_come() {
    let scoter = Scoter::serving("bodies")
        .args(["--body-buffer", "1"])
        .start();
    let mut peer = scoter.connect();
    peer.packet(&post("/unread", 1_000_000))
        .send("the beginning");
    assert_eq!(peer.read(12), b"HTTP/1.1 413");
    // Still welcome to send the rest, so that a front end that does so first isn't cut off.
    peer.send(vec![b'x'; 500_000]);
    let rest = peer.ending().bytes();
    assert!(rest.ends_with(b"too much\n"));
}

#[test]
fn unread_bodies_hold_no_thread() {
    let scoter = Scoter::serving("bodies")
        .args(["--threads", "1", "--body-buffer", "1"])
        .start();
    let mut idle: Vec<_> = (0..8).map(|_| scoter.connect()).collect();
    for peer in &mut idle {
        // Refused, and then neither sends nor closes.
        peer.packet(&post("/unread", 1_000_000))
            .send("the beginning");
        assert_eq!(peer.read(12), b"HTTP/1.1 413");
    }
    let reply = scoter
        .connect()
        .packet(&post("/everything", 2))
        .send("ok")
        .reply();
    assert_eq!(reply.text(), "ok");
}

#[test]
fn body_of_a_request_without_one_in_mind_is_ignored() {
    // A GET with a body: the application never looks.
    let scoter = Scoter::serving("forms").start();
    let packet = integration_tests::with(get("/"), [("CONTENT_LENGTH", "300000")]);
    let mut peer = scoter.connect();
    peer.packet(&packet).send(vec![b'x'; 300_000]);
    assert_eq!(peer.reply().text(), "function GET /");
}
