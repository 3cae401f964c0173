//! Request headers and other variables: repeated, large, misleading.

use integration_tests::{Connections, Scoter, Site, get, post, through_nginx, until, with};

#[through_nginx(gateway, dev)]
fn repeated_headers_and_cookies_are_joined(connections: Connections) {
    // nginx before 1.23 sends a pair for each, later ones join them: the application sees the same.
    let site = Site::serving("echo", connections);
    let reply = site.raw(
        b"GET / HTTP/1.1\r\n\
          Host: example.com\r\n\
          X-Forwarded-For: 192.0.2.1\r\n\
          Cookie: a=1; b=2\r\n\
          X-Forwarded-For: 192.0.2.2\r\n\
          X-Once: 1\r\n\
          Cookie: c=3\r\n\
          Cookie: d=4\r\n\
          X-Forwarded-For: 192.0.2.3, 192.0.2.4\r\n\
          Connection: close\r\n\r\n",
    );
    for expected in [
        r#""HTTP_X_FORWARDED_FOR": "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4""#,
        r#""HTTP_COOKIE": "a=1; b=2; c=3; d=4""#,
        r#""HTTP_X_ONCE": "1""#,
    ] {
        assert!(reply.contains(expected), "{expected} in {reply}");
    }
}

#[through_nginx(gateway, dev)]
fn hundreds_of_headers_reach_the_application(connections: Connections) {
    let site = Site::serving("echo", connections);
    let headers: String = (0..300).map(|n| format!("X-N{n}: v{n}\r\n")).collect();
    let request =
        format!("GET / HTTP/1.1\r\nHost: example.com\r\n{headers}Connection: close\r\n\r\n");
    let reply = site.raw(request.as_bytes());
    for expected in [r#""HTTP_X_N0": "v0""#, r#""HTTP_X_N299": "v299""#] {
        assert!(reply.contains(expected), "{expected} in {reply}");
    }
}

#[test]
fn repeated_header_vars_are_joined_in_order() {
    let scoter = Scoter::serving("echo").start();
    let vars = [
        ("HTTP_X_TOKEN", "one"),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_X_TOKEN", "two"),
        ("HTTP_COOKIE", "b=2"),
        ("HTTP_X_TOKEN", "three"),
    ];
    let seen = scoter
        .connect()
        .packet(&with(get("/"), vars))
        .reply()
        .json();
    assert_eq!(seen["environ"]["HTTP_X_TOKEN"], "one, two, three");
    assert_eq!(seen["environ"]["HTTP_COOKIE"], "a=1; b=2");
}

#[through_nginx]
fn param_behind_the_include_overrides_a_header(connections: Connections) {
    // What Debian's own uwsgi_params end with, and many published configurations have.
    let site = Site::with(
        Scoter::serving("echo").args(["--access-log-format", "$http_host $http_x_forwarded_for"]),
        connections,
        |nginx| {
            nginx.extra(
                "location / {
                    include scoter/uwsgi_params;
                    uwsgi_param HTTP_HOST $http_host;
                    uwsgi_param HTTP_X_REAL_IP 192.0.2.1;
                    uwsgi_param HTTP_X_REAL_IP 192.0.2.2;
                    uwsgi_param HTTP_X_REQUEST_ID of-my-own;
                    uwsgi_pass scoter;
                }",
            )
        },
    );
    let reply = site.extra().raw(
        b"GET / HTTP/1.1\r\n\
          Host: shop.example:8443\r\n\
          X-Forwarded-For: 192.0.2.3\r\n\
          X-Real-IP: 192.0.2.4\r\n\
          X-Forwarded-For: 192.0.2.5\r\n\
          Connection: close\r\n\r\n",
    );
    for expected in [
        r#""HTTP_HOST": "shop.example:8443""#,
        r#""HTTP_X_REAL_IP": "192.0.2.2""#,
        r#""HTTP_X_REQUEST_ID": "of-my-own""#,
        r#""HTTP_X_FORWARDED_FOR": "192.0.2.3, 192.0.2.5""#,
    ] {
        assert!(reply.contains(expected), "{expected} in {reply}");
    }
    let logged = site.scoter().wait_for_access_log(1);
    assert_eq!(logged, ["shop.example:8443 192.0.2.3, 192.0.2.5"]);
}

#[test]
fn last_of_repeated_headers_with_one_value_is_what_all_see() {
    let scoter = Scoter::serving("echo")
        .args(["--access-log-format", "json"])
        .start();
    let vars = [
        // Whoever came last has added it: in front of nginx that is the proxy, not the client.
        ("HTTP_X_REAL_IP", "192.0.2.66"),
        ("HTTP_X_REAL_IP", "192.0.2.1"),
        ("HTTP_HOST", "included.example"),
        ("HTTP_USER_AGENT", "curl"),
        ("HTTP_X_REQUEST_ID", "one"),
        ("HTTP_REFERER", "http://a/"),
        ("HTTP_HOST", "shop.example"),
        ("HTTP_USER_AGENT", "wget"),
        ("HTTP_X_REQUEST_ID", "two"),
        ("HTTP_REFERER", "http://b/"),
    ];
    let packet = with(get("/"), vars);
    let environ = scoter.connect().packet(&packet).reply().json()["environ"].clone();
    let line = scoter.wait_for_access_log(1).remove(0);
    let logged: serde_json::Value = serde_json::from_str(&line).expect("an object");
    assert_eq!(environ["HTTP_X_REAL_IP"], "192.0.2.1");
    for (name, value) in &vars[6..] {
        assert_eq!(environ[name], *value);
        let field = name.trim_start_matches("HTTP_").to_lowercase();
        assert_eq!(logged[field.trim_start_matches("x_")], *value, "{line}");
    }
}

#[test]
fn last_of_repeated_other_vars_wins() {
    // nginx sends both when a `uwsgi_param` overrides one of an included file.
    let scoter = Scoter::serving("echo").args(["--threads", "1"]).start();
    // Again and again with other values in the first place: whatever the server remembers of earlier requests.
    for overridden in ["mallory", "trudy", "trudy", "", "mallory"] {
        let vars = [
            ("REMOTE_USER", overridden),
            ("SCRIPT_NAME", overridden),
            ("PATH_INFO", "/overriding"),
            ("REMOTE_USER", "alice"),
            ("SCRIPT_NAME", ""),
        ];
        let packet = with(get(&format!("/overridden/{overridden}")), vars);
        let seen = scoter.connect().packet(&packet).reply().json();
        assert_eq!(seen["environ"]["REMOTE_USER"], "alice", "{overridden}");
        assert_eq!(seen["environ"]["PATH_INFO"], "/overriding", "{overridden}");
        assert_eq!(seen["environ"]["SCRIPT_NAME"], "", "{overridden}");
    }
}

#[through_nginx(gateway, dev)]
fn header_cannot_become_another_variable(connections: Connections) {
    let site = Site::serving("echo", connections);
    let reply = site.raw(
        b"GET / HTTP/1.1\r\n\
          Host: example.com\r\n\
          Remote-User: mallory\r\n\
          Remote_User: mallory\r\n\
          Path-Info: /mallory\r\n\
          Connection: close\r\n\r\n",
    );
    assert!(
        reply.contains(r#""HTTP_REMOTE_USER": "mallory""#),
        "{reply}"
    );
    assert!(!reply.contains(r#""REMOTE_USER""#), "{reply}");
    assert!(reply.contains(r#""PATH_INFO": "/""#), "{reply}");
}

#[through_nginx(gateway, dev)]
fn body_headers_appear_only_under_their_cgi_names(connections: Connections) {
    // nginx sends both; PEP 3333 knows CONTENT_TYPE and CONTENT_LENGTH only.
    let site = Site::serving("echo", connections);
    let seen = site.post("/", "12345").json();
    let environ = seen["environ"].as_object().expect("an object");
    assert_eq!(environ["CONTENT_LENGTH"], "5");
    assert_eq!(environ["CONTENT_TYPE"], "application/octet-stream");
    assert!(!environ.contains_key("HTTP_CONTENT_LENGTH"));
    assert!(!environ.contains_key("HTTP_CONTENT_TYPE"));
}

#[test]
fn transfer_encoding_is_dropped_only_beside_a_content_length() {
    let scoter = Scoter::serving("echo").start();
    let chunked = [("HTTP_TRANSFER_ENCODING", "chunked")];
    let mut peer = scoter.connect();
    let seen = peer
        .packet(&with(post("/", 5), chunked))
        .send("2\r\nab")
        .reply()
        .json();
    assert_eq!(seen["body"], "2\r\nab");
    assert!(seen["environ"].get("HTTP_TRANSFER_ENCODING").is_none());
    let seen = scoter
        .connect()
        .packet(&with(get("/"), chunked))
        .reply()
        .json();
    assert_eq!(seen["environ"]["HTTP_TRANSFER_ENCODING"], "chunked");
    assert_eq!(seen["body"], "");
}

#[test]
fn every_byte_of_the_largest_packet_arrives() {
    let scoter = Scoter::serving("echo").start();
    let used = get("/").to_vec().expect("fits").len() - 4;
    let value = "v".repeat(65_535 - used - "HTTP_X_BIG".len() - 4);
    let packet = with(get("/"), [("HTTP_X_BIG", &value)]);
    assert_eq!(packet.to_vec().expect("fits").len(), 4 + 65_535);
    let seen = scoter.connect().packet(&packet).reply().json();
    assert_eq!(seen["environ"]["HTTP_X_BIG"], value);
}

#[test]
fn last_variable_of_the_largest_packet_is_known_to_all() {
    // In the environ, and in the status: the server looks for these itself.
    let environs = Scoter::serving("echo").start();
    let statuses = Scoter::serving("streaming").start();
    let gate = statuses.gate("last");
    for (key, value, name, expected) in [
        ("REQUEST_URI", "/the/last", "uri", "/the/last"),
        ("REQUEST_URI", "", "uri", "/waits"),
        ("HTTP_X_REQUEST_ID", "the-last", "request_id", "the-last"),
        ("REQUEST_METHOD", "PUT", "method", "PUT"),
    ] {
        let packet = |path| {
            let packet = with(get(path), [("QUERY_STRING", "last")]);
            let used = packet.to_vec().expect("fits").len() - 4;
            let left = 65_535 - used - (2 + key.len() + 2 + value.len());
            let filler = "f".repeat(left - (2 + "FILLER".len() + 2));
            let packet = with(packet, [("FILLER", &*filler), (key, value)]);
            assert_eq!(packet.to_vec().expect("fits").len(), 4 + 65_535);
            packet
        };
        let seen = environs.connect().packet(&packet("/")).reply().json();
        assert_eq!(seen["environ"][key], value);

        let mut peer = statuses.connect();
        peer.packet(&packet("/waits"));
        let status = until("the request runs", || {
            let status = statuses.status();
            let slots = status["workers"][0]["slots"].as_array();
            let mut slots = slots.expect("a list").iter();
            slots.find(|slot| slot["phase"] == "running").cloned()
        });
        assert_eq!(status[name], expected, "{key}");
        gate.open();
        assert_eq!(peer.reply().text(), "waited at last");
    }
}

#[through_nginx(gateway, dev)]
fn sixty_kilobytes_of_headers_pass_through_nginx(connections: Connections) {
    let site = Site::serving("echo", connections);
    let mut request = String::from("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n");
    for number in 0..12 {
        let value = number.to_string().repeat(5000 / number.to_string().len());
        request += &format!("X-Big-{number}: {value}\r\n");
    }
    let reply = site.raw((request + "\r\n").as_bytes());
    let body = reply.split_once("\r\n\r\n").expect("a head").1;
    for number in 0..12 {
        let value = number.to_string().repeat(5000 / number.to_string().len());
        assert!(
            body.contains(&format!(r#""HTTP_X_BIG_{number}": "{value}""#)),
            "{number}"
        );
    }
}

#[test]
fn many_small_vars_arrive() {
    let scoter = Scoter::serving("echo").start();
    // --max-vars is 1000.
    let vars: Vec<_> = (0..900).map(|n| (format!("X{n}"), n.to_string())).collect();
    let seen = scoter
        .connect()
        .packet(&with(get("/"), vars))
        .reply()
        .json();
    for n in 0..900 {
        assert_eq!(seen["environ"][format!("X{n}")], n.to_string());
    }
}
