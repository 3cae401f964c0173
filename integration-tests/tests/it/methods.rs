//! Request methods.

use hyper::Request;
use integration_tests::{Connections, Scoter, Site, empty, get, through_nginx, with};

#[through_nginx(gateway, dev)]
fn every_method_reaches_the_application(connections: Connections) {
    let site = Site::serving("forms:function", connections);
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW",
    ] {
        let request = Request::builder().method(method).uri("/x").body(empty());
        let reply = site.send(request.expect("well-formed"));
        assert_eq!(reply.text(), format!("function {method} /x"));
    }
}

#[test]
fn head_gets_the_head_of_get_and_no_body() {
    // nginx would hide body bytes, so this looks at scoter's socket.
    for app in [
        "forms:function",
        "forms:generator",
        "forms:lazy",
        "forms:writer",
        "forms:returns_bytes",
    ] {
        let scoter = Scoter::serving(app).start();
        let get_reply = scoter.connect().packet(&get("/")).reply();
        let head = with(get("/"), [("REQUEST_METHOD", "HEAD")]);
        let reply = scoter.connect().packet(&head).reply();
        assert_eq!((reply.status, reply.text().as_str()), (203, ""), "{app}");
        assert_eq!(reply.header("X-Form"), Some("pep3333"), "{app}");
        let length = reply.header("Content-Length");
        if let Some(announced) = get_reply.header("Content-Length") {
            // "HEAD" is one byte longer than "GET", and the application answers with it.
            let longer = announced.parse::<usize>().expect("a number") + 1;
            assert!(
                length.is_none() || length == Some(&longer.to_string()),
                "{app}: {length:?}"
            );
        } else {
            assert_eq!(length, None, "{app}");
        }
    }
}

#[test]
fn head_keeps_the_content_length_of_the_application() {
    let scoter = Scoter::serving("streaming").start();
    let head = with(get("/quick"), [("REQUEST_METHOD", "HEAD")]);
    let reply = scoter.connect().packet(&head).reply();
    assert_eq!(reply.header("Content-Length"), Some("5"));
    assert_eq!(reply.text(), "");
}

#[through_nginx(gateway, dev)]
fn head_through_nginx_is_complete(connections: Connections) {
    let site = Site::serving("streaming", connections);
    let request = Request::head("/quick").body(empty());
    let reply = site.send(request.expect("well-formed"));
    assert_eq!(
        (reply.status, reply.header("Content-Length")),
        (200, Some("5"))
    );
}

#[test]
fn statuses_without_body_have_none() {
    let scoter = Scoter::serving("heads").start();
    for status in ["204 No Content", "205 Reset Content", "304 Not Modified"] {
        let head = serde_json::json!({ "status": status, "headers": [["X-A", "1"]] }).to_string();
        let packet = integration_tests::post("/", head.len());
        let reply = scoter.connect().packet(&packet).send(head).reply();
        assert_eq!(reply.text(), "", "{status}");
        assert_eq!(reply.header("X-A"), Some("1"), "{status}");
        assert_eq!(reply.header("Transfer-Encoding"), None, "{status}");
    }
}
