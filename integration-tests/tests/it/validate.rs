//! `wsgiref.validate` as the judge, through nginx.

use hyper::Request;
use integration_tests::{Connections, Scoter, Site, empty, get, post, through_nginx, with};

#[through_nginx]
fn validator_finds_nothing(connections: Connections) {
    let mut site = Site::serving("validated", connections);
    let reply = site.post("/", "one\ntwo\nthree\nfour");
    assert_eq!(reply.text(), "read one\ntwo\nthree\nfour");
    assert_eq!(site.get("/").text(), "read ");
    let reply = site.post("/iterates", "1\n2\n");
    assert_eq!((reply.status, &*reply.text()), (201, "1\n2\n"));
    assert_eq!(site.get("/iterates").text(), "one two three");
    assert_eq!(site.get("/writes").text(), "written and returned");
    let reply = site.get("/empty");
    assert_eq!((reply.status, &*reply.text()), (204, ""));
    let reply = site.get("/mounted/writes");
    assert_eq!(reply.text(), "written and returned");
    for path in ["/", "/iterates", "/writes", "/empty"] {
        let request = Request::head(path).body(empty()).expect("well-formed");
        assert!(site.send(request).body.is_empty(), "{path}");
    }
    let log = site.scoter_mut().stop().stderr;
    assert!(
        !log.contains("Assertion") && !log.contains("WSGIWarning"),
        "{log}"
    );
    assert!(log.contains("a line for the log"), "{log}");
}

#[test]
fn validator_finds_nothing_in_unusual_packets() {
    let mut scoter = Scoter::serving("validated").start();
    for vars in [
        &[("CONTENT_LENGTH", "")][..],
        &[("CONTENT_TYPE", ""), ("CONTENT_LENGTH", "0")],
        &[("SERVER_PORT", ""), ("SERVER_NAME", "")],
        &[
            ("HTTP_CONTENT_LENGTH", "5"),
            ("HTTP_CONTENT_TYPE", "text/plain"),
        ],
        &[
            ("HTTPS", "on"),
            ("SCRIPT_NAME", "/mounted"),
            ("PATH_INFO", ""),
        ],
        &[("PATH_INFO", "/"), ("PATH_INFO", "/writes")],
    ] {
        let reply = scoter
            .connect()
            .packet(&with(get("/"), vars.iter().copied()))
            .reply();
        assert_eq!(reply.status, 200, "{vars:?}");
    }
    let mut peer = scoter.connect();
    assert_eq!(
        peer.packet(&post("/iterates", 4))
            .send("a\nb\n")
            .reply()
            .text(),
        "a\nb\n"
    );
    let log = scoter.stop().stderr;
    assert!(!log.contains("Assertion"), "{log}");
}
