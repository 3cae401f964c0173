//! Response heads: passed on as they are, unless they would make another response of it.

use integration_tests::{Connections, Reply, Scoter, Site, get, post, through_nginx};
use serde_json::{Value, json};

/// Asks `heads.py` for a head.
fn ask(scoter: &Scoter, head: Value) -> Reply {
    let body = head.to_string();
    scoter
        .connect()
        .packet(&post("/", body.len()))
        .send(body)
        .reply()
}

#[test]
fn order_case_and_repetitions_of_headers_are_kept() {
    let scoter = Scoter::serving("heads").start();
    let headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("x-lower", "1"),
        ("X-UPPER", "2"),
        ("Set-Cookie", "b=2"),
        ("X-Empty", ""),
        ("X-Latin1", "caf\u{e9}"),
        ("X-Tab", "a\tb"),
        ("Content-Length", "4"),
    ];
    let reply = ask(
        &scoter,
        json!({ "status": "299 A Status of Ours", "headers": headers }),
    );
    assert_eq!((reply.status, &*reply.reason), (299, "A Status of Ours"));
    let latin1 = "caf\u{fffd}"; // the byte E9, which is no UTF-8
    let expected: Vec<_> = headers
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.replace("caf\u{e9}", latin1)))
        .collect();
    assert_eq!(reply.headers, expected);
    assert_eq!(reply.text(), "body");
}

#[through_nginx(gateway, dev)]
fn cookies_reach_the_client_one_by_one(connections: Connections) {
    let site = Site::serving("heads", connections);
    let headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2, 3")];
    let head = json!({ "status": "200 OK", "headers": headers });
    let reply = site.post("/", head.to_string());
    assert_eq!(reply.all("Set-Cookie"), ["a=1", "b=2, 3"]);
}

#[through_nginx(gateway, dev)]
fn large_heads_pass_through_nginx(connections: Connections) {
    let site = Site::serving("heads", connections);
    let headers: Vec<_> = (0..7)
        .map(|n| ("Set-Cookie", format!("c{n}={}", "x".repeat(2000))))
        .collect();
    let head = json!({ "status": "200 OK", "headers": headers });
    let reply = site.post("/", head.to_string());
    assert_eq!((reply.status, reply.all("Set-Cookie").len()), (200, 7));
}

#[test]
fn status_without_reason_gets_one() {
    let scoter = Scoter::serving("heads").start();
    for (status, reason) in [("200", "OK"), ("404 ", "Not Found")] {
        let reply = ask(&scoter, json!({ "status": status, "headers": [] }));
        assert_eq!(reply.reason, reason, "{status:?}");
    }
}

#[test]
fn response_splitting_is_refused() {
    let mut scoter = Scoter::serving("heads").args(["--threads", "1"]).start();
    let ok = "200 OK";
    let bad = [
        (json!(ok), json!([["X-Evil", "a\r\nInjected: 1"]])),
        (json!(ok), json!([["X-Evil", "a\nInjected: 1"]])),
        (json!(ok), json!([["X-Evil", "a\rInjected: 1"]])),
        (json!(ok), json!([["X-Evil", "a\r\n\r\n<script>"]])),
        (json!(ok), json!([["X-Evil", "nul\0"]])),
        (json!(ok), json!([["X-Evil", "\u{7f}"]])),
        (json!(ok), json!([["X-Evil", "not latin-1: \u{20ac}"]])),
        (json!(ok), json!([["X-Evil", "\u{10a}\u{10d}"]])), // whose low bytes are LF and CR
        (json!(ok), json!([["X-Evil\r\nInjected", "1"]])),
        (json!(ok), json!([["X-Evil:", "1"]])),
        (json!(ok), json!([["X-Evil Name", "1"]])),
        (json!(ok), json!([["X-Evil\u{e9}", "1"]])),
        (json!(ok), json!([["", "X-Evil"]])),
        (json!(ok), json!([[" X-Evil", "1"]])),
        (json!("200 OK\r\nX-Evil: 1"), json!([])),
        (json!("200 OK\nX-Evil: 1"), json!([])),
        (json!("200 X-Evil\r"), json!([])),
        (json!("200 X-Evil\0"), json!([])),
        (json!("200 X-Evil \u{20ac}"), json!([])),
    ];
    for (status, headers) in &bad {
        let reply = ask(&scoter, json!({ "status": status, "headers": headers }));
        assert_eq!(reply.status, 500, "{status} {headers}");
        let sent = format!("{:?} {}", reply.headers, reply.text());
        assert!(
            !sent.contains("Injected") && !sent.contains("Evil"),
            "{sent}"
        );
        assert!(!sent.contains("script"), "{sent}");
    }
    scoter.stop();
    // Each exception said which header it was, but for the empty name and the statuses.
    let events = scoter.events();
    assert_eq!(events.len(), bad.len(), "{events:#?}");
    for (event, (_, headers)) in events.iter().zip(&bad) {
        assert!(
            event.starts_with("ValueError: ") || event.starts_with("TypeError: "),
            "{event}"
        );
        if headers.to_string().contains("\"X-Evil") {
            assert!(
                event.contains("X-Evil") || headers[0][0] == "",
                "{headers}: {event}"
            );
        }
    }
}

#[test]
fn heads_of_wrong_types_and_values_are_refused() {
    let scoter = Scoter::serving("heads").args(["--threads", "1"]).start();
    let ok = "200 OK";
    for (status, headers) in [
        (json!(200), json!([])),
        (json!(null), json!([])),
        (json!(""), json!([])),
        (json!("20"), json!([])),
        (json!("OK"), json!([])),
        (json!("2000 OK"), json!([])),
        (json!("200OK"), json!([])),
        (json!("099 Low"), json!([])),
        (json!("-20 Low"), json!([])),
        (json!("100 Continue"), json!([])),
        (json!("103 Early Hints"), json!([])),
        (json!(ok), json!([["X-Number", 1]])),
        (json!(ok), json!([["X-None", null]])),
        (json!(ok), json!([[1, "number"]])),
        (json!(ok), json!([["X-Alone"]])),
        (json!(ok), json!([["X-Three", "a", "b"]])),
        (json!(ok), json!([["Content-Length", "-1"]])),
        (json!(ok), json!([["Content-Length", "4.0"]])),
        (
            json!(ok),
            json!([["Content-Length", "4"], ["content-length", "5"]]),
        ),
    ] {
        let reply = ask(&scoter, json!({ "status": status, "headers": headers }));
        assert_eq!(reply.status, 500, "{status} {headers}");
        assert_eq!(
            reply.header("Content-Type"),
            Some("text/plain"),
            "{status} {headers}"
        );
    }
    let reply = ask(&scoter, json!({ "status": ok, "headers": [] }));
    assert_eq!(reply.status, 200);
}

#[test]
fn hop_by_hop_headers_are_dropped() {
    // PEP 3333, "Other HTTP Features"; nginx would take some of them for its own.
    let scoter = Scoter::serving("heads").start();
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "transfer-encoding",
        "Upgrade",
    ] {
        let headers = [["X-Before", "1"], [name, "chunked"], ["X-After", "2"]];
        let reply = ask(&scoter, json!({ "status": "200 OK", "headers": headers }));
        assert_eq!(reply.status, 200, "{name}");
        assert_eq!(reply.header(name), None);
        assert_eq!(reply.header("X-Before"), Some("1"), "{name}");
        assert_eq!(reply.header("X-After"), Some("2"), "{name}");
        assert_eq!(reply.text(), "body", "{name}");
    }
}

#[through_nginx(gateway, dev)]
fn status_header_does_not_replace_the_status(connections: Connections) {
    // nginx takes "Status: 404" for the status line of a CGI program.
    let site = Site::serving("heads", connections);
    let head = json!({ "status": "200 OK", "headers": [["Status", "404 Not Found"]] });
    let reply = site.post("/", head.to_string());
    assert_eq!((reply.status, reply.header("Status")), (200, None));
}

#[test]
fn content_length_is_never_there_twice() {
    // nginx since 1.23 answers 502 to that.
    let scoter = Scoter::serving("heads").start();
    let headers = [["Content-Length", "4"], ["content-length", "4"]];
    let reply = ask(&scoter, json!({ "status": "200 OK", "headers": headers }));
    assert_eq!(
        (reply.status, reply.header("Content-Length")),
        (200, Some("4"))
    );
}

#[test]
fn nothing_is_added_that_nginx_adds() {
    let scoter = Scoter::serving("forms:generator").start();
    let reply = scoter.connect().packet(&get("/")).reply();
    for name in [
        "Date",
        "Server",
        "Connection",
        "Transfer-Encoding",
        "Status",
    ] {
        assert_eq!(reply.header(name), None);
    }
}
