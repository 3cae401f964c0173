//! Paths and queries: decoded once, by nginx, and never again.

use integration_tests::{Connections, Scoter, Site, get, through_nginx, with};

#[through_nginx(gateway, dev)]
fn path_and_query_arrive_as_nginx_decoded_them(connections: Connections) {
    let site = Site::serving("echo", connections);
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a/b?c=d&e=f&c=g", "/a/b", "c=d&e=f&c=g"),
        ("/a%20b+c", "/a b+c", ""),
        // PEP 3333, "Unicode Issues": the bytes C3 A9 of é are two characters here.
        ("/%C3%A9t%C3%A9", "/Ã©tÃ©", ""),
        ("/a%2Fb", "/a/b", ""),
        // Decoded twice, this would be /a/b, past any `location` of nginx that forbids it.
        ("/a%252Fb", "/a%2Fb", ""),
        ("/%25252e%25252e", "/%252e%252e", ""),
        ("/%2541", "/%41", ""),
        ("/a%0Ab", "/a\nb", ""),
        ("/a;b=c,d@e:f", "/a;b=c,d@e:f", ""),
        (
            "/?q=%C3%A9+%2B%252F&empty=",
            "/",
            "q=%C3%A9+%2B%252F&empty=",
        ),
        ("/?a=/b/../c//d?e", "/", "a=/b/../c//d?e"),
    ] {
        let seen = site.get(target).json();
        let environ = &seen["environ"];
        assert_eq!(environ["PATH_INFO"], path, "{target}");
        assert_eq!(environ["QUERY_STRING"], query, "{target}");
        assert_eq!(environ["REQUEST_URI"], target);
        assert_eq!(environ["SCRIPT_NAME"], "", "{target}");
    }
}

#[through_nginx]
fn bytes_that_are_not_utf8_arrive_as_latin1(connections: Connections) {
    let site = Site::serving("echo", connections);
    let request = b"GET /\xff\xe9?\xfe HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    let reply = site.raw(request);
    // json.dumps writes characters beyond ASCII as \u escapes.
    assert!(reply.contains(r#""PATH_INFO": "/\u00ff\u00e9""#), "{reply}");
    assert!(reply.contains(r#""QUERY_STRING": "\u00fe""#), "{reply}");
}

#[test]
fn path_is_taken_from_the_packet_byte_for_byte() {
    let scoter = Scoter::serving("echo").start();
    for path in [
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/../../etc/passwd",
        "//double//slash",
        "/%00",
        "/nul\0byte",
        "no/slash",
        "*",
        "/a?b#c",
    ] {
        let reply = scoter.connect().packet(&get(path)).reply();
        assert_eq!(reply.json()["environ"]["PATH_INFO"], path);
    }
}

#[test]
fn script_name_is_taken_from_the_packet() {
    let scoter = Scoter::serving("echo").start();
    let packet = with(get("/below"), [("SCRIPT_NAME", "/mounted")]);
    let seen = scoter.connect().packet(&packet).reply().json();
    assert_eq!(seen["environ"]["SCRIPT_NAME"], "/mounted");
    assert_eq!(seen["environ"]["PATH_INFO"], "/below");
}
