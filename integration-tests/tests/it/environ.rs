//! The environ that an application gets.

use std::collections::BTreeMap;

use integration_tests::{Connections, Scoter, Site, apps_folder, get, through_nginx, until, with};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use uwsgi_codec::PacketBuilder;

fn packet(vars: &[(&str, &str)]) -> PacketBuilder {
    with(PacketBuilder::new(), vars.iter().copied())
}

#[test]
fn minimal_packet_gives_a_complete_environ() {
    let scoter = Scoter::serving("echo").start();
    for vars in [
        &[("REQUEST_METHOD", "GET"), ("PATH_INFO", "/")][..],
        &[("PATH_INFO", "/")],
        &[("X", "")],
    ] {
        let seen = scoter.connect().packet(&packet(vars)).reply().json();
        let environ = &seen["environ"];
        for (key, expected) in [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "/"),
            ("QUERY_STRING", ""),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("wsgi.url_scheme", "http"),
        ] {
            assert_eq!(environ[key], expected, "{vars:?}: {key}");
        }
        for key in ["SERVER_NAME", "SERVER_PORT"] {
            // PEP 3333: "can never be empty strings, and so are always required".
            assert_ne!(
                environ[key].as_str().unwrap_or_default(),
                "",
                "{vars:?}: {key}"
            );
        }
    }
}

#[test]
fn empty_server_name_and_port_are_replaced() {
    // What nginx's own uwsgi_params send for a listener on a Unix socket.
    let scoter = Scoter::serving("echo").start();
    let vars = packet(&[("PATH_INFO", "/"), ("SERVER_NAME", ""), ("SERVER_PORT", "")]);
    let seen = scoter.connect().packet(&vars).reply().json();
    for key in ["SERVER_NAME", "SERVER_PORT"] {
        assert_ne!(seen["environ"][key], "", "{key}");
    }
}

#[test]
fn wsgi_variables_are_those_of_pep_3333() {
    for (threads, multithread, workers, multiprocess) in [
        ("1", false, "1", false),
        ("4", true, "2", true),
        ("1", false, "1..2", true),
    ] {
        let scoter = Scoter::serving("echo")
            .args(["--threads", threads])
            .workers(workers)
            .start();
        let seen = scoter.connect().packet(&get("/")).reply().json();
        assert_eq!(seen["is_dict"], true);
        let environ = &seen["environ"];
        assert_eq!(environ["wsgi.version"], json!([1, 0]));
        assert_eq!(environ["wsgi.multithread"], multithread);
        assert_eq!(environ["wsgi.multiprocess"], multiprocess);
        assert_eq!(environ["wsgi.run_once"], false);
        assert_eq!(environ["wsgi.input_terminated"], true);
        assert_eq!(environ["wsgi.url_scheme"], "http");
        for key in ["wsgi.input", "wsgi.errors", "wsgi.file_wrapper"] {
            assert!(environ.get(key).is_some(), "{key}");
        }
        assert_eq!(seen["types"]["wsgi.version"], "tuple");
        assert_eq!(seen["types"]["wsgi.multithread"], "bool");
    }
}

/// Asks who is multiprocess until `expected` is.
#[track_caller]
fn wait_for_multiprocess(scoter: &Scoter, expected: bool) {
    until(&format!("wsgi.multiprocess is {expected}"), || {
        let seen = scoter.connect().packet(&get("/")).reply().json();
        (seen["environ"]["wsgi.multiprocess"] == expected).then_some(())
    });
}

#[test]
fn one_worker_is_alone_also_while_it_is_replaced() {
    let scoter = Scoter::serving("echo")
        .args(["--max-requests", "5"])
        .start();
    for round in 0..40 {
        let seen = scoter.connect().packet(&get("/")).reply().json();
        assert_eq!(seen["environ"]["wsgi.multiprocess"], false, "{round}");
        if round == 20 {
            assert_eq!(scoter.command(["reload"]).code, Some(0));
        }
    }
    let alone = Scoter::serving("echo").args(["--no-master"]).start();
    let seen = alone.connect().packet(&get("/")).reply().json();
    assert_eq!(seen["environ"]["wsgi.multiprocess"], false);
}

#[test]
fn workers_that_start_after_scale_know_of_each_other() {
    let scoter = Scoter::serving("echo").start();
    let first = scoter.worker();
    assert_eq!(scoter.command(["scale", "2"]).code, Some(0));
    scoter.wait_for_workers(2);
    first.signal(Signal::SIGKILL);
    wait_for_multiprocess(&scoter, true);
    scoter.wait_for_workers_that("two workers without the first", |now| {
        now.len() == 2 && now.iter().all(|worker| worker.pid() != first.pid())
    });
    for _ in 0..20 {
        let seen = scoter.connect().packet(&get("/")).reply().json();
        assert_eq!(seen["environ"]["wsgi.multiprocess"], true);
    }
}

#[test]
fn reload_that_changes_the_workers_changes_multiprocess() {
    let scoter = Scoter::told_nothing().with_file("scoter.toml", "workers = 1\n");
    let file = scoter.folder().join("scoter.toml");
    let socket = format!("unix:{}/scoter.sock", scoter.folder().display());
    let scoter = scoter
        .args(["--config".into(), file])
        .args(["--pythonpath".into(), apps_folder().to_owned()])
        .args(["--bind", &socket, "echo"])
        .start();
    wait_for_multiprocess(&scoter, false);
    scoter.put("scoter.toml", "workers = 2\n");
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    for _ in 0..10 {
        let seen = scoter.connect().packet(&get("/")).reply().json();
        assert_eq!(seen["environ"]["wsgi.multiprocess"], true);
    }
}

#[through_nginx(gateway)]
fn every_variable_of_the_request_is_a_str(connections: Connections) {
    let site = Site::serving("echo", connections);
    let seen = site.get("/").json();
    let types: BTreeMap<String, Value> =
        serde_json::from_value(seen["types"].clone()).expect("an object");
    for (key, type_name) in types {
        if !key.contains('.') {
            assert_eq!(type_name, "str", "{key}");
        }
    }
}

#[test]
fn variables_of_the_front_end_pass_verbatim() {
    let scoter = Scoter::serving("echo").start();
    let vars = [
        ("REMOTE_USER", "alice"),
        ("REMOTE_PORT", "4711"),
        ("DOCUMENT_ROOT", "/srv/www"),
        ("X_CUSTOM", "caf\u{e9}"),
        ("lower-case key", "1"),
        ("EMPTY", ""),
    ];
    let seen = scoter
        .connect()
        .packet(&with(get("/"), vars))
        .reply()
        .json();
    for (key, value) in vars {
        // The two bytes of é are two characters of a native string.
        assert_eq!(seen["environ"][key], value.replace('é', "Ã©"), "{key}");
    }
    assert_eq!(seen["environ"]["REMOTE_ADDR"], "192.0.2.1");
}

#[test]
fn protocol_of_the_client_is_passed_and_changes_no_reply() {
    let scoter = Scoter::serving("echo").start();
    for protocol in ["HTTP/1.0", "HTTP/2.0", "HTTP/3.0", "nonsense"] {
        let packet = with(get("/"), [("SERVER_PROTOCOL", protocol)]);
        // The reply's status line is checked where it is parsed: HTTP/1.1.
        let seen = scoter.connect().packet(&packet).reply().json();
        assert_eq!(seen["environ"]["SERVER_PROTOCOL"], protocol);
    }
}

#[test]
fn peer_cannot_replace_what_belongs_to_the_server() {
    let scoter = Scoter::serving("echo").start();
    let vars = [
        ("wsgi.url_scheme", "https"),
        ("wsgi.input", "mine"),
        ("wsgi.errors", "mine"),
        ("wsgi.version", "mine"),
        ("wsgi.multithread", ""),
        ("wsgi.file_wrapper", "mine"),
    ];
    let seen = scoter
        .connect()
        .packet(&with(get("/"), vars))
        .reply()
        .json();
    for (key, value) in vars {
        assert_ne!(seen["environ"][key], value, "{key}");
    }
    assert_eq!(seen["environ"]["wsgi.url_scheme"], "http");
}

#[test]
fn process_environment_stays_out() {
    let scoter = Scoter::serving("echo")
        .env("SECRET_OF_THE_PROCESS", "secret")
        .env("HTTP_SECRET_OF_THE_PROCESS", "secret")
        .env("REMOTE_USER", "root")
        .start();
    let seen = scoter.connect().packet(&get("/")).reply().json();
    assert_eq!(
        seen["process"]["environ"]["SECRET_OF_THE_PROCESS"],
        "secret"
    );
    let environ = seen["environ"].as_object().expect("an object");
    for key in seen["process"]["environ"]
        .as_object()
        .expect("an object")
        .keys()
    {
        assert!(!environ.contains_key(key), "{key}");
    }
}

#[test]
fn every_request_has_an_environ_of_its_own() {
    let scoter = Scoter::serving("environs").args(["--threads", "1"]).start();
    let ask = |path: &str, query: &str, extra: &[(&str, &str)]| {
        let vars = [&[("QUERY_STRING", query)], extra].concat();
        scoter
            .connect()
            .packet(&with(get(path), vars))
            .reply()
            .json()
    };
    for number in 0..5 {
        let query = format!("request={number}");
        let extra: &[_] = match number {
            2 => &[("HTTP_X_ONLY_ONCE", "1"), ("REMOTE_USER", "alice")],
            _ => &[],
        };
        let seen = ask("/keep", &query, extra);
        assert_eq!(seen["QUERY_STRING"], query);
        assert_eq!(seen.get("left.behind"), None);
        assert_eq!(seen.get("REMOTE_USER").is_some(), number == 2);
        ask("/clear", "", &[]);
    }
    let shown = ask("/show", "", &[]);
    assert_eq!(shown["distinct"], 5);
    for (number, kept) in shown["kept"].as_array().expect("a list").iter().enumerate() {
        assert_eq!(kept["left.behind"], format!("request={number}"));
        assert_eq!(kept["QUERY_STRING"], "changed");
        assert_eq!(kept["PATH_INFO"], "/keep");
        assert_eq!(kept.get("HTTP_X_ONLY_ONCE").is_some(), number == 2);
    }
}

#[test]
fn url_scheme_is_what_the_front_end_says() {
    let scoter = Scoter::serving("echo").start();
    for (vars, expected) in [
        (&[("HTTPS", "on")][..], "https"),
        (&[("HTTPS", "1")], "https"),
        (&[("HTTPS", "true")], "https"),
        (&[("HTTPS", "off")], "http"),
        (&[("HTTPS", "")], "http"),
        (&[("REQUEST_SCHEME", "https")], "https"),
        (&[("REQUEST_SCHEME", "http")], "http"),
        (&[("UWSGI_SCHEME", "https")], "https"),
        (&[("UWSGI_SCHEME", "http"), ("HTTPS", "on")], "http"),
        (&[("HTTPS", "on"), ("REQUEST_SCHEME", "http")], "https"),
        (&[("SERVER_PORT", "443")], "http"),
        // Anybody can send these headers.
        (&[("HTTP_X_FORWARDED_PROTO", "https")], "http"),
        (&[("HTTP_X_FORWARDED_SSL", "on")], "http"),
    ] {
        let seen = scoter
            .connect()
            .packet(&with(get("/"), vars.iter().copied()))
            .reply()
            .json();
        assert_eq!(seen["environ"]["wsgi.url_scheme"], expected, "{vars:?}");
        assert_eq!(seen["environ"]["REMOTE_ADDR"], "192.0.2.1");
    }
}

#[test]
fn forwarded_scheme_is_trusted_when_asked_for() {
    let scoter = Scoter::serving("echo")
        .args(["--trust-forwarded-proto"])
        .start();
    for (value, expected) in [
        ("https", "https"),
        ("http", "http"),
        ("https, http", "https"),
        ("javascript", "http"),
    ] {
        let vars = [("HTTP_X_FORWARDED_PROTO", value)];
        let seen = scoter
            .connect()
            .packet(&with(get("/"), vars))
            .reply()
            .json();
        assert_eq!(seen["environ"]["wsgi.url_scheme"], expected, "{value}");
    }
}

#[test]
fn proxy_header_never_arrives() {
    // httpoxy, CVE-2016-5385: HTTP_PROXY configures HTTP clients that look into the environment.
    let scoter = Scoter::serving("echo").start();
    for vars in [
        &[("HTTP_PROXY", "http://evil.example")][..],
        &[("HTTP_PROXY", ""), ("HTTP_PROXY", "http://evil.example")],
    ] {
        let seen = scoter
            .connect()
            .packet(&with(get("/"), vars.iter().copied()))
            .reply()
            .json();
        assert!(seen["environ"].get("HTTP_PROXY").is_none());
        assert!(seen["process"]["environ"].get("HTTP_PROXY").is_none());
    }
}

#[through_nginx]
fn proxy_header_never_arrives_through_a_careless_nginx(connections: Connections) {
    let site = Site::with(Scoter::serving("echo"), connections, |nginx| {
        nginx.extra("location / { uwsgi_param PATH_INFO $uri; uwsgi_pass scoter; }")
    });
    let reply = site
        .nginx()
        .extra()
        .raw(b"GET / HTTP/1.1\r\nHost: a\r\nProxy: http://evil.example\r\nX-Other: 1\r\nConnection: close\r\n\r\n");
    assert!(reply.contains("HTTP_X_OTHER"), "{reply}");
    assert!(!reply.contains("evil"), "{reply}");
}
