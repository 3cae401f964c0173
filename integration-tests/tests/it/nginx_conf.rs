//! What the files of `nginx-conf` promise.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use integration_tests::{Connections, Nginx, Scoter, Site, through_nginx};
use tempfile::TempDir;

/// Asks through nginx, by hand, and returns the environ as the text of its JSON.
fn environ(site: &Site, request: &str) -> String {
    let (head, body) = request.split_once("\r\n").expect("a request line");
    site.raw(format!("{head}\r\nConnection: close\r\n{body}").as_bytes())
}

#[through_nginx]
fn host_has_the_port_that_the_client_used(connections: Connections) {
    let site = Site::serving("echo", connections);
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "example.com"),
        (
            "GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
            "example.com:8080",
        ),
        (
            "GET / HTTP/1.1\r\nHost: Example.COM:8080\r\n\r\n",
            "example.com:8080",
        ),
        (
            "GET / HTTP/1.1\r\nHost: example.com.:8080\r\n\r\n",
            "example.com:8080",
        ),
        (
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
            "[2001:db8::1]:8080",
        ),
        (
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n",
            "[2001:db8::1]",
        ),
        (
            "GET / HTTP/1.1\r\nHost: example.com:\r\n\r\n",
            "example.com",
        ),
        // nginx takes the host from the request line where it is there, and so must the application.
        (
            "GET http://example.com:8080/ HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
            "example.com:8080",
        ),
        (
            "GET http://example.com/ HTTP/1.1\r\nHost: evil.example:666\r\n\r\n",
            "example.com",
        ),
        (
            "GET http://example.com/ HTTP/1.1\r\nHost: xexample.com:666\r\n\r\n",
            "example.com",
        ),
        // A client of long ago: nginx says by what name it serves it.
        ("GET / HTTP/1.0\r\n\r\n", "example.com"),
    ] {
        let reply = environ(&site, request);
        let expected = format!(r#""HTTP_HOST": "{expected}""#);
        assert!(
            reply.contains(&expected),
            "{request}: {expected} in {reply}"
        );
        assert_eq!(
            reply.matches(r#""HTTP_HOST""#).count(),
            2,
            "key and type: {reply}"
        );
    }
}

#[through_nginx]
fn mounted_application_gets_its_prefix(connections: Connections) {
    let site = Site::serving("echo", connections);
    for (path, script_name, path_info) in [
        ("/mounted", "/mounted", ""),
        ("/mounted/", "/mounted", "/"),
        ("/mounted/a/b", "/mounted", "/a/b"),
        ("/mounted/a%0A", "/mounted", "/a\n"),
        ("/mounted/a%0Ab", "/mounted", "/a\nb"),
        ("/%6dounted/a%252Fb", "/mounted", "/a%2Fb"),
        ("/mounted%0A", "", "/mounted\n"),
        ("/mountedfoo", "", "/mountedfoo"),
        ("/x/mounted/a", "", "/x/mounted/a"),
    ] {
        let environ = &site.get(path).json()["environ"];
        assert_eq!(environ["SCRIPT_NAME"], script_name, "{path}");
        assert_eq!(environ["PATH_INFO"], path_info, "{path}");
        assert_eq!(environ["REQUEST_URI"], path);
    }
}

#[through_nginx]
fn scheme_and_addresses_are_those_of_the_connection(connections: Connections) {
    let site = Site::serving("echo", connections);
    let reply = environ(
        &site,
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nHttps: on\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n",
    );
    for expected in [
        r#""wsgi.url_scheme": "http""#,
        r#""REQUEST_SCHEME": "http""#,
        r#""SERVER_NAME": "example.com""#,
        r#""SERVER_PROTOCOL": "HTTP/1.1""#,
        r#""REMOTE_ADDR": "unix:""#,
        r#""HTTP_HTTPS": "on""#,
    ] {
        assert!(reply.contains(expected), "{expected} in {reply}");
    }
    assert!(!reply.contains(r#""HTTPS""#), "{reply}");
}

#[through_nginx]
fn request_start_and_id_cannot_be_forged(connections: Connections) {
    let site = Site::serving("echo", connections);
    let forged =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Start: t=1\r\nX-Request-Id: forged\r\n\r\n";
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let reply = environ(&site, forged);
        let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let start = body["environ"]["HTTP_X_REQUEST_START"]
            .as_str()
            .expect("sent");
        let seconds: f64 = start
            .strip_prefix("t=")
            .expect("t=")
            .parse()
            .expect("seconds");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.expect("after 1970").as_secs_f64() - seconds;
        assert!((-1.0..60.0).contains(&age), "{age}");
        let id = body["environ"]["HTTP_X_REQUEST_ID"]
            .as_str()
            .expect("sent")
            .to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
    let logged = site.nginx().wait_for_access_log(3);
    let logged: BTreeSet<_> = logged
        .iter()
        .map(|line| line.split(' ').next().expect("an id").to_owned())
        .collect();
    assert_eq!(logged, ids);
}

#[through_nginx]
fn proxy_header_is_dropped_by_nginx(connections: Connections) {
    // Seen in the packet itself, which scoter would clean too.
    let packet = capture(
        "GET / HTTP/1.1\r\nHost: a\r\nProxy: http://evil.example\r\nX-Other: 1\r\n\r\n",
        connections,
    );
    assert!(packet.contains("HTTP_X_OTHER"), "{packet}");
    assert!(
        !packet.contains("HTTP_PROXY") && !packet.contains("evil"),
        "{packet}"
    );
}

#[through_nginx]
fn nothing_is_sent_twice(connections: Connections) {
    let packet = capture(
        "GET /mountain HTTP/1.1\r\nHost: a:1\r\nX-Request-Id: x\r\n\r\n",
        connections,
    );
    for name in [
        "HTTP_HOST",
        "HTTP_X_REQUEST_ID",
        "PATH_INFO",
        "REQUEST_METHOD",
    ] {
        assert_eq!(packet.matches(name).count(), 1, "{name} in {packet}");
    }
}

#[through_nginx]
fn head_that_is_too_large_is_refused_by_nginx(connections: Connections) {
    let mut site = Site::serving("echo", connections);
    let line = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Big: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    assert!(environ(&site, &line).starts_with("HTTP/1.1 400 "));
    let lines: String = (0..4)
        .map(|n| format!("X-{n}: {}\r\n", "x".repeat(16_370)))
        .collect();
    let reply = environ(&site, &format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    assert!(reply.starts_with("HTTP/1.1 500 "), "{reply}");
    assert!(
        site.nginx()
            .error_log()
            .contains("uwsgi request is too big")
    );
    assert_eq!(
        site.scoter_mut().stop().stdout,
        "",
        "scoter was never asked"
    );
}

/// Returns the packet that nginx makes of a request, as text.
fn capture(request: &str, connections: Connections) -> String {
    let folder = TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
    let socket = folder.path().join("capture.sock");
    let listener = UnixListener::bind(&socket).expect("the test's own folder");
    let nginx = Nginx::prepare(folder.path(), &socket, connections).start();
    let mut client = nginx.site().connect();
    client.write_all(request.as_bytes()).expect("nginx reads");
    let (mut upstream, _) = listener.accept().expect("nginx connects");
    let mut header = [0; 4];
    upstream.read_exact(&mut header).expect("a header");
    let mut block = vec![0; usize::from(u16::from_le_bytes([header[1], header[2]]))];
    upstream.read_exact(&mut block).expect("a block");
    String::from_utf8_lossy(&block).into_owned()
}

#[through_nginx]
fn example_of_a_check_takes_the_body_back(connections: Connections) {
    let text = include_str!("../../../nginx-conf/site.conf");
    let (_, example) = text
        .split_once("#location = /auth {")
        .expect("the example is there");
    let (example, _) = example.split_once("#}").expect("it has an end");
    let location = format!("location = /auth {{{}}}", example.replace("\n    #", "\n"));
    let site = Site::with(Scoter::serving("guarded"), connections, |nginx| {
        nginx.extra(&location).extra(
            "location / {
                 auth_request /auth;
                 include scoter/uwsgi_params;
                 uwsgi_pass scoter;
             }",
        )
    });
    let reply = site.nginx().extra().post("/upload", "eleven bytes");
    assert_eq!(reply.text(), "nobody 12");
    // What the check is told of the body.
    assert_eq!(site.scoter().events(), ["auth "]);
}
