//! Targets to `REQUEST_URI`, `SCRIPT_NAME`, `PATH_INFO` and `QUERY_STRING`.

use uwsgi_codec::http::{BodyLength, MapError, RequestMapping};

use crate::{all, map, map_by, request};

#[test]
fn path_is_decoded_and_the_rest_is_as_sent() {
    for (target, uri, path, query) in [
        ("/", "/", "/", ""),
        ("/?", "/?", "/", ""),
        (
            "/a%20b+c?q=%20+&r=%zz",
            "/a%20b+c?q=%20+&r=%zz",
            "/a b+c",
            "q=%20+&r=%zz",
        ),
        ("/a%2fb%3Fc%25", "/a%2fb%3Fc%25", "/a/b?c%", ""),
        ("/%c3%A9%ff", "/%c3%A9%ff", "/\\xc3\\xa9\\xff", ""),
        ("//a///b/", "//a///b/", "//a///b/", ""),
        (
            "/a;b=c:@!$&'()*,",
            "/a;b=c:@!$&'()*,",
            "/a;b=c:@!$&'()*,",
            "",
        ),
        ("/a??b?", "/a??b?", "/a", "?b?"),
        ("http://example.com", "/", "/", ""),
        ("http://example.com/x%20y?z", "/x%20y?z", "/x y", "z"),
        ("http://example.com?z", "/?z", "/", "z"),
    ] {
        let vars = map(&request("GET", target, &[])).unwrap();
        assert_eq!(all(&vars, "REQUEST_URI"), [uri], "{target}");
        assert_eq!(all(&vars, "PATH_INFO"), [path], "{target}");
        assert_eq!(all(&vars, "QUERY_STRING"), [query], "{target}");
        assert_eq!(all(&vars, "SCRIPT_NAME"), [""; 0], "{target}");
    }
}

#[test]
fn dot_segments_are_resolved_and_nothing_is_above_the_root() {
    for (target, expected) in [
        ("/.", Ok("/")),
        ("/./", Ok("/")),
        ("/a/.", Ok("/a/")),
        ("/a/./b", Ok("/a/b")),
        ("/a/..", Ok("/")),
        ("/a/b/..", Ok("/a/")),
        ("/a/b/../", Ok("/a/")),
        ("/a/b/../c", Ok("/a/c")),
        ("/a/b/../../c", Ok("/c")),
        ("/a/%2e%2E/c", Ok("/c")),
        ("/a/b%2f..%2Fc", Ok("/a/c")),
        ("/a//../b", Ok("/a/b")),
        ("/.a/..b/.../c.", Ok("/.a/..b/.../c.")),
        ("/a/.b/../c", Ok("/a/c")),
        ("/%252e%252e/x", Ok("/%2e%2e/x")),
        ("/..", Err(MapError::PathAboveRoot)),
        ("/../x", Err(MapError::PathAboveRoot)),
        ("/a/../../x", Err(MapError::PathAboveRoot)),
        ("/%2e%2e%2fx", Err(MapError::PathAboveRoot)),
    ] {
        let vars = map(&request("GET", target, &[]));
        let path = vars.map(|vars| all(&vars, "PATH_INFO").concat());
        assert_eq!(path, expected.map(str::to_owned), "{target}");
    }
}

#[test]
fn path_that_cannot_be_decoded_is_refused() {
    for (target, expected) in [
        ("/a%00b", MapError::PathNul),
        ("/%", MapError::PathEncoding { offset: 1 }),
        ("/a%20%2", MapError::PathEncoding { offset: 5 }),
        ("/a%2gb", MapError::PathEncoding { offset: 2 }),
        ("/%%20", MapError::PathEncoding { offset: 1 }),
        ("/%+1", MapError::PathEncoding { offset: 1 }),
    ] {
        let vars = map(&request("GET", target, &[]));
        assert_eq!(vars.map(|_| ()), Err(expected), "{target}");
    }
}

#[test]
fn asterisk_is_for_options_and_connect_for_nothing() {
    let vars = map(&request("OPTIONS", "*", &[])).unwrap();
    assert_eq!(all(&vars, "REQUEST_URI"), ["*"]);
    assert_eq!(all(&vars, "PATH_INFO"), [""]);

    for (method, target, expected, status) in [
        ("GET", "*", MapError::Target, 400),
        ("GET", "example.com", MapError::Target, 400),
        ("CONNECT", "example.com:443", MapError::Connect, 405),
        ("CONNECT", "http://example.com/chat", MapError::Connect, 405),
    ] {
        let error = map(&request(method, target, &[])).unwrap_err();
        assert_eq!(error, expected, "{method} {target}");
        assert_eq!(error.http_status(), status);
    }
}

#[test]
fn script_name_is_taken_off_the_path() {
    let mapping = RequestMapping::new().with_script_name("/my shop").unwrap();
    for (target, expected) in [
        ("/my%20shop", Ok("")),
        ("/my%20shop/", Ok("/")),
        ("/my%20shop/a%20b", Ok("/a b")),
        ("/x/../my%20shop/a", Ok("/a")),
        ("/my%20shopping", Err(MapError::OutsideScriptName)),
        ("/my%20shop/../x", Err(MapError::OutsideScriptName)),
        ("//my%20shop/a", Err(MapError::OutsideScriptName)),
        ("/", Err(MapError::OutsideScriptName)),
    ] {
        let vars = map_by(&mapping, &request("GET", target, &[]), BodyLength::Absent);
        let path = vars.map(|vars| {
            assert_eq!(all(&vars, "SCRIPT_NAME"), ["/my shop"]);
            assert_eq!(all(&vars, "REQUEST_URI"), [target]);
            all(&vars, "PATH_INFO").concat()
        });
        assert_eq!(path, expected.map(str::to_owned), "{target}");
    }
    for name in ["", "/", "shop", "/shop/", "/../shop", "/a/./b", "/a\0"] {
        let mapping = RequestMapping::new().with_script_name(name);
        assert_eq!(mapping.map(|_| ()), Err(MapError::Target), "{name:?}");
    }
}
