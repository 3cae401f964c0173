use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::{EncodeError, Packet};
use wsgi_environ::{
    Body, BuildError, EnvironBuilder, Errors, ForwardedProto, Input, Repeated, RequestId,
    ScriptName, ServerInfo,
};

use crate::harness::{Log, builder, eval, packet, server_info};

type Vars<'a> = &'a [(&'a str, &'a str)];

/// A slot that builds one environ after the other.
struct Slot<'py> {
    py: Python<'py>,
    builder: EnvironBuilder,
    errors: Bound<'py, Errors>,
}

impl<'py> Slot<'py> {
    fn new(py: Python<'py>) -> Self {
        Self::with(py, &server_info())
    }

    fn with(py: Python<'py>, server: &ServerInfo) -> Self {
        let errors = Bound::new(py, Log::default().errors()).unwrap();
        let builder = EnvironBuilder::new(py, server, errors.clone().unbind()).unwrap();
        Self {
            py,
            builder,
            errors,
        }
    }

    fn build(&mut self, vars: Vars<'_>) -> Bound<'py, PyDict> {
        self.build_packet(&packet(vars), ScriptName::AsSent)
    }

    fn build_packet(&mut self, packet: &Packet, script_name: ScriptName<'_>) -> Bound<'py, PyDict> {
        self.build_with(packet, script_name, RequestId::Sent)
    }

    fn build_with(
        &mut self,
        packet: &Packet,
        script_name: ScriptName<'_>,
        id: RequestId<'_>,
    ) -> Bound<'py, PyDict> {
        let input = Input::new(self.py, Body::empty()).unwrap();
        let environ = self
            .builder
            .build(self.py, packet.vars.as_ref(), script_name, id, &input)
            .unwrap();
        assert!(environ.get_item("wsgi.input").unwrap().unwrap().is(&input));
        environ
    }
}

fn text(environ: &Bound<'_, PyDict>, key: &str) -> Option<String> {
    let value = environ.get_item(key).unwrap()?;
    assert!(value.is_exact_instance_of::<PyString>(), "{key}: {value}");
    Some(value.to_string())
}

#[test]
fn pairs_make_the_environ_that_a_packet_of_them_makes() {
    let cases: [(&str, Vars<'_>); 5] = [
        ("nothing", &[]),
        (
            "a request",
            &[
                ("REQUEST_METHOD", "PUT"),
                ("PATH_INFO", "/caf\u{e9}"),
                ("HTTPS", "on"),
            ],
        ),
        (
            "a repeated header",
            &[
                ("HTTP_COOKIE", "a=1"),
                ("HTTP_ACCEPT", ""),
                ("HTTP_COOKIE", "b=2"),
            ],
        ),
        (
            "chunks",
            &[
                ("HTTP_TRANSFER_ENCODING", "chunked"),
                ("HTTP_PROXY", "evil"),
            ],
        ),
        (
            "an id",
            &[("HTTP_X_REQUEST_ID", "abc"), ("SERVER_PORT", "")],
        ),
    ];
    Python::attach(|py| {
        let (mut slot, mut other) = (Slot::new(py), Slot::new(py));
        for round in ["anew", "remembered"] {
            for (name, vars) in cases {
                let expected = slot.build(vars);
                let input = Input::new(py, Body::empty()).unwrap();
                let pairs = vars
                    .iter()
                    .map(|(key, value)| (key.as_bytes(), value.as_bytes()));
                let environ = other
                    .builder
                    .build_from_pairs(py, pairs, ScriptName::AsSent, RequestId::Sent, &input)
                    .unwrap();
                let taken = environ.get_item("wsgi.input").unwrap().unwrap();
                assert!(taken.is(&input), "{name}, {round}");
                for its_own in ["wsgi.input", "wsgi.errors"] {
                    environ.del_item(its_own).unwrap();
                    expected.del_item(its_own).unwrap();
                }
                assert!(environ.eq(&expected).unwrap(), "{name}, {round}: {environ}");
            }
        }
    });
}

#[test]
fn pairs_that_no_packet_holds_are_refused_and_do_not_spoil_the_next_request() {
    let large = "x".repeat(65_535);
    let cases: [(Vars<'_>, EncodeError, u16); 2] = [
        (&[("PATH_INFO", "/"), ("", "?")], EncodeError::EmptyKey, 500),
        (
            &[("PATH_INFO", "/"), ("K", &large)],
            EncodeError::BlockTooLarge { len: 14 + 65_540 },
            431,
        ),
    ];
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let input = Input::new(py, Body::empty()).unwrap();
        let mut build = |vars: Vars<'_>| {
            let pairs = vars.iter().copied();
            slot.builder
                .build_from_pairs(py, pairs, ScriptName::AsSent, RequestId::Sent, &input)
        };
        for (vars, expected, status) in cases {
            match build(vars) {
                Err(BuildError::Pairs(error)) => {
                    assert_eq!((error.http_status(), &error), (status, &expected));
                }
                other => panic!("{expected}: {other:?}"),
            }
            let environ = build(&[("HTTP_HOST", "a")]).unwrap();
            assert_eq!(text(&environ, "HTTP_HOST").as_deref(), Some("a"));
            assert_eq!(text(&environ, "PATH_INFO").as_deref(), Some("/"));
        }
    });
}

/// Asserts about an environ of a slot, first built from nothing and then from
/// what it remembers.
#[track_caller]
fn assert_entries(vars: Vars<'_>, expected: &[(&str, Option<&str>)]) {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        for round in ["anew", "remembered"] {
            let environ = slot.build(vars);
            for (key, value) in expected {
                assert_eq!(text(&environ, key).as_deref(), *value, "{key}, {round}");
            }
        }
    });
}

#[test]
fn empty_packet_has_all_that_pep_3333_requires() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let environ = slot.build(&[]);
        let names = PyDict::new(py);
        names.set_item("environ", &environ).unwrap();
        for (expression, expected) in [
            ("type(environ)", "<class 'dict'>"),
            ("len(environ)", "17"),
            ("environ['REQUEST_METHOD']", "GET"),
            ("environ['SCRIPT_NAME']", ""),
            ("environ['PATH_INFO']", "/"),
            ("environ['QUERY_STRING']", ""),
            ("environ['SERVER_NAME']", "default.test"),
            ("environ['SERVER_PORT']", "8080"),
            ("environ['SERVER_PROTOCOL']", "HTTP/1.1"),
            ("environ['wsgi.version']", "(1, 0)"),
            ("environ['wsgi.url_scheme']", "http"),
            ("environ['wsgi.multithread']", "True"),
            ("environ['wsgi.multiprocess']", "False"),
            ("environ['wsgi.run_once']", "False"),
            ("environ['wsgi.input_terminated']", "True"),
            ("environ['wsgi.file_wrapper'].__name__", "FileWrapper"),
        ] {
            assert_eq!(eval(py, expression, &names), expected, "{expression}");
        }
        let errors = environ.get_item("wsgi.errors").unwrap().unwrap();
        assert!(errors.is(&slot.errors));
    });
}

#[test]
fn what_can_never_be_empty_is_not() {
    assert_entries(
        &[
            ("REQUEST_METHOD", ""),
            ("SERVER_NAME", ""),
            ("SERVER_PORT", ""),
            ("SERVER_PROTOCOL", ""),
            ("QUERY_STRING", ""),
            ("CONTENT_TYPE", ""),
            ("CONTENT_LENGTH", ""),
            ("REMOTE_USER", ""),
        ],
        &[
            ("REQUEST_METHOD", Some("GET")),
            ("SERVER_NAME", Some("default.test")),
            ("SERVER_PORT", Some("8080")),
            ("SERVER_PROTOCOL", Some("HTTP/1.1")),
            ("QUERY_STRING", Some("")),
            ("CONTENT_TYPE", Some("")),
            ("CONTENT_LENGTH", Some("")),
            ("REMOTE_USER", Some("")),
        ],
    );
}

#[test]
fn everything_else_passes_verbatim() {
    assert_entries(
        &[
            ("REQUEST_METHOD", "PROPFIND"),
            ("REQUEST_URI", "/a%2Fb?x=%20"),
            ("PATH_INFO", "/a/b%2fc//%2e%2e"),
            ("SERVER_PROTOCOL", "HTTP/2.0"),
            ("REMOTE_ADDR", "unix:"),
            ("REMOTE_USER", "ann"),
            ("HTTP_REMOTE_USER", "forged"),
            ("HTTP_X-A", "a name with a hyphen"),
            ("lower case", " value\t"),
            ("app.config", "a dot is no harm"),
            ("UWSGI_FILE", "/etc/passwd"),
            ("UWSGI_SETENV", "PATH=/tmp"),
            ("HTTP_X_FORWARDED_PROTO", "https"),
        ],
        &[
            ("REQUEST_METHOD", Some("PROPFIND")),
            ("REQUEST_URI", Some("/a%2Fb?x=%20")),
            ("PATH_INFO", Some("/a/b%2fc//%2e%2e")),
            ("SERVER_PROTOCOL", Some("HTTP/2.0")),
            ("REMOTE_ADDR", Some("unix:")),
            ("REMOTE_USER", Some("ann")),
            ("HTTP_REMOTE_USER", Some("forged")),
            ("HTTP_X-A", Some("a name with a hyphen")),
            ("lower case", Some(" value\t")),
            ("app.config", Some("a dot is no harm")),
            ("UWSGI_FILE", Some("/etc/passwd")),
            ("UWSGI_SETENV", Some("PATH=/tmp")),
            ("HTTP_X_FORWARDED_PROTO", Some("https")),
            ("wsgi.url_scheme", Some("http")),
            ("PATH", None),
            ("HOME", None),
        ],
    );
}

#[test]
fn bytes_become_native_strings_in_both_places() {
    Python::attach(|py| {
        let every_byte: Vec<u8> = (0..=255).collect();
        let vars = [
            (b"PATH_INFO".to_vec(), every_byte),
            (b"X_\xe9".to_vec(), b"\xc3\xa9".to_vec()),
        ];
        let packet = packet(&vars);
        let mut slot = Slot::new(py);
        for _ in 0..2 {
            let names = PyDict::new(py);
            let environ = slot.build_packet(&packet, ScriptName::AsSent);
            names.set_item("environ", environ).unwrap();
            for expression in [
                "environ['PATH_INFO'].encode('latin-1') == bytes(range(256))",
                r"environ['X_\xe9'] == '\xc3\xa9'",
            ] {
                assert_eq!(eval(py, expression, &names), "True", "{expression}");
            }
        }
    });
}

#[test]
fn repeated_headers_are_joined() {
    assert_entries(
        &[
            ("HTTP_X_A", "1"),
            ("HTTP_COOKIE", "a=1"),
            ("HTTP_X_B", "only"),
            ("HTTP_X_A", ""),
            ("HTTP_COOKIE", "b=2"),
            ("HTTP_X_A", "3, 4"),
            ("HTTP_X_FORWARDED_FOR", "10.0.0.1"),
            ("HTTP_X_FORWARDED_FOR", "10.0.0.2"),
        ],
        &[
            ("HTTP_X_A", Some("1, , 3, 4")),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("HTTP_X_B", Some("only")),
            ("HTTP_X_FORWARDED_FOR", Some("10.0.0.1, 10.0.0.2")),
        ],
    );
}

#[test]
fn last_of_repeated_headers_with_one_value_wins() {
    // What `include uwsgi_params;` and a `uwsgi_param` of one's own amount to.
    for key in [
        "HTTP_HOST",
        "HTTP_AUTHORIZATION",
        "HTTP_REFERER",
        "HTTP_USER_AGENT",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_RANGE",
        "HTTP_ORIGIN",
        "HTTP_X_REQUEST_ID",
        "HTTP_X_REQUEST_START",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_X_FORWARDED_PREFIX",
        "HTTP_X_REAL_IP",
        "HTTP_X_CSRFTOKEN",
        "HTTP_TRACEPARENT",
        "HTTP_SEC_FETCH_SITE",
    ] {
        for (values, expected) in [
            (&["included", "own"][..], "own"),
            (&["a", "b", "a"], "a"),
            (&["included", ""], ""),
        ] {
            let vars: Vec<_> = values.iter().map(|value| (key, *value)).collect();
            assert_entries(&vars, &[(key, Some(expected))]);
        }
    }
}

#[test]
fn table_for_operators_says_what_is_done() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../OPERATING.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Repeated variables\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut checked = 0;
    for row in section.lines() {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (Some(variables), Some(outcome)) = (cells.next(), cells.next()) else {
            continue;
        };
        if variables.starts_with("all that do not begin") || !variables.contains('`') {
            continue;
        }
        let expected = match outcome.split(' ').collect::<Vec<_>>()[..] {
            ["the", "last"] => Repeated::Last,
            ["joined", "with", "`;", ..] => Repeated::Joined(b"; "),
            ["joined", "with", "`,", ..] => Repeated::Joined(b", "),
            _ => panic!("{row}"),
        };
        for name in variables.split('`').skip(1).step_by(2) {
            let name = name.trim_start_matches("HTTP_").replace('*', "ANYTHING");
            let key = format!("HTTP_{name}");
            assert_eq!(Repeated::of(key.as_bytes()), expected, "{key}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn repeated_header_that_is_overridden_is_remembered() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        for (included, own) in [("a", "b"), ("a", "c"), ("d", "c"), ("c", "d"), ("", "d")] {
            let environ = slot.build(&[
                ("HTTP_HOST", included),
                ("HTTP_ACCEPT", "*/*"),
                ("HTTP_HOST", own),
            ]);
            assert_eq!(text(&environ, "HTTP_HOST").unwrap(), own);
            assert_eq!(text(&environ, "HTTP_ACCEPT").unwrap(), "*/*");
        }
    });
}

#[test]
fn cost_of_repeated_variables_grows_with_their_number_only() {
    // Each name twice: to search the packet for each of them takes a hundred times as
    // long. These packets are too large to be remembered.
    let pairs = |prefix: &str, names: usize| {
        let pairs = (0..3_600).map(|n| (format!("{prefix}{}", n % names), ""));
        packet(&pairs.collect::<Vec<_>>())
    };
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let mut fastest = |packet: &Packet| {
            let rounds = (0..5).map(|_| {
                let start = Instant::now();
                slot.build_packet(packet, ScriptName::AsSent);
                start.elapsed()
            });
            rounds.min().unwrap()
        };
        for prefix in ["HTTP_X", "X"] {
            let once = fastest(&pairs(prefix, 3_600));
            let twice = fastest(&pairs(prefix, 1_800));
            println!("{prefix}: {twice:?} and {once:?}");
            assert!(twice < 50 * once, "{prefix}: {twice:?} and {once:?}");
        }
    });
}

#[test]
fn last_of_other_repeated_variables_wins() {
    assert_entries(
        &[
            ("SERVER_NAME", "included"),
            ("PATH_INFO", "/included"),
            ("HTTPS", "on"),
            ("CUSTOM", "1"),
            ("REMOTE_USER", "included"),
            ("CUSTOM", "2"),
            ("REMOTE_USER", ""),
            ("HTTPS", "off"),
            ("PATH_INFO", "/overridden"),
            ("SERVER_NAME", "overridden"),
            ("CUSTOM", "3"),
        ],
        &[
            ("SERVER_NAME", Some("overridden")),
            ("PATH_INFO", Some("/overridden")),
            ("HTTPS", Some("off")),
            ("wsgi.url_scheme", Some("http")),
            ("CUSTOM", Some("3")),
            ("REMOTE_USER", Some("")),
        ],
    );
}

#[test]
fn dangerous_and_lying_variables_are_left_out() {
    assert_entries(
        &[
            ("HTTP_PROXY", "http://evil.test"),
            ("HTTP_CONTENT_LENGTH", "5"),
            ("HTTP_CONTENT_TYPE", "text/plain"),
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("CONTENT_LENGTH", "5"),
            ("CONTENT_TYPE", "text/html"),
            ("wsgi.url_scheme", "ftp"),
            ("wsgi.anything", "x"),
        ],
        &[
            ("HTTP_PROXY", None),
            ("HTTP_CONTENT_LENGTH", None),
            ("HTTP_CONTENT_TYPE", None),
            ("HTTP_TRANSFER_ENCODING", None),
            ("CONTENT_LENGTH", Some("5")),
            ("CONTENT_TYPE", Some("text/html")),
            ("wsgi.url_scheme", Some("http")),
            ("wsgi.anything", None),
        ],
    );
}

#[test]
fn transfer_encoding_stays_where_there_is_no_length() {
    assert_entries(
        &[
            ("HTTP_TRANSFER_ENCODING", "chunked"),
            ("CONTENT_LENGTH", ""),
        ],
        &[("HTTP_TRANSFER_ENCODING", Some("chunked"))],
    );
    assert_entries(
        &[("HTTP_TRANSFER_ENCODING", "chunked")],
        &[("HTTP_TRANSFER_ENCODING", Some("chunked"))],
    );
}

#[test]
fn one_of_script_name_and_path_info_is_not_empty() {
    let cases: &[(Vars<'_>, &str, &str)] = &[
        (&[], "", "/"),
        (&[("PATH_INFO", "")], "", "/"),
        (&[("SCRIPT_NAME", ""), ("PATH_INFO", "")], "", "/"),
        (&[("SCRIPT_NAME", "/app")], "/app", ""),
        (&[("SCRIPT_NAME", "/app"), ("PATH_INFO", "")], "/app", ""),
        (
            &[("PATH_INFO", "/x"), ("SCRIPT_NAME", "/app")],
            "/app",
            "/x",
        ),
        (&[("PATH_INFO", "*")], "", "*"),
    ];
    for (vars, script_name, path_info) in cases {
        assert_entries(
            vars,
            &[
                ("SCRIPT_NAME", Some(script_name)),
                ("PATH_INFO", Some(path_info)),
            ],
        );
    }
}

#[test]
fn modifier_30_strips_whole_segments() {
    let cases = [
        ("/foo", "/foo/bar", "/foo", "/bar"),
        ("/foo", "/foo/", "/foo", "/"),
        ("/foo", "/foo", "/foo", ""),
        ("/foo", "/foobar", "/foo", "/foobar"),
        ("/foo", "/other", "/foo", "/other"),
        ("/foo", "", "/foo", ""),
        ("/foo/", "/foo/bar", "/foo", "/bar"),
        ("/foo/", "/foo", "/foo", ""),
        ("/", "/bar", "", "/bar"),
        ("", "/bar", "", "/bar"),
        ("", "", "", "/"),
        ("/a/b", "/a/b/c/a/b", "/a/b", "/c/a/b"),
    ];
    Python::attach(|py| {
        // One slot: each case also meets what the one before left behind.
        let mut slot = Slot::new(py);
        for (script_name, path_info, expected_script_name, expected_path_info) in cases {
            let packet = packet(&[("SCRIPT_NAME", script_name), ("PATH_INFO", path_info)]);
            let environ = slot.build_packet(&packet, ScriptName::Strip);
            let entries = (text(&environ, "SCRIPT_NAME"), text(&environ, "PATH_INFO"));
            let expected = (
                expected_script_name.to_owned(),
                expected_path_info.to_owned(),
            );
            assert_eq!(
                entries,
                (Some(expected.0), Some(expected.1)),
                "{script_name} {path_info}"
            );

            if !script_name.is_empty() {
                let environ = slot.build_packet(&packet, ScriptName::AsSent);
                assert_eq!(text(&environ, "PATH_INFO").unwrap(), path_info);
                assert_eq!(text(&environ, "SCRIPT_NAME").unwrap(), script_name);
            }
        }
    });
}

#[test]
fn given_paths_take_the_place_of_what_was_sent() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let sent = packet(&[("SCRIPT_NAME", "/sent"), ("PATH_INFO", "/sent/a")]);
        let absent = packet(&[("REQUEST_METHOD", "GET")]);
        for (script_name, path_info) in
            [("/m", "/a"), ("/m", ""), ("/caf\u{e9}", "/"), ("/m", "/a")]
        {
            for packet in [&sent, &absent] {
                let given = ScriptName::Given {
                    script_name: script_name.as_bytes(),
                    path_info: path_info.as_bytes(),
                };
                let environ = slot.build_packet(packet, given);
                let latin1 = |text: &str| text.bytes().map(char::from).collect::<String>();
                assert_eq!(text(&environ, "SCRIPT_NAME"), Some(latin1(script_name)));
                assert_eq!(text(&environ, "PATH_INFO"), Some(latin1(path_info)));
            }
            let environ = slot.build_packet(&sent, ScriptName::AsSent);
            assert_eq!(text(&environ, "SCRIPT_NAME").unwrap(), "/sent");
            assert_eq!(text(&environ, "PATH_INFO").unwrap(), "/sent/a");
        }
    });
}

#[test]
fn scheme_is_what_the_front_end_says() {
    let cases: &[(Vars<'_>, &str)] = &[
        (&[], "http"),
        (&[("HTTPS", "on")], "https"),
        (&[("HTTPS", "ON")], "https"),
        (&[("HTTPS", "1")], "https"),
        (&[("HTTPS", "true")], "https"),
        (&[("HTTPS", "once")], "http"),
        (&[("HTTPS", "off")], "http"),
        (&[("HTTPS", "")], "http"),
        (&[("REQUEST_SCHEME", "https")], "https"),
        (&[("REQUEST_SCHEME", "http"), ("HTTPS", "on")], "https"),
        (&[("REQUEST_SCHEME", "https"), ("HTTPS", "")], "https"),
        (&[("UWSGI_SCHEME", "https")], "https"),
        (&[("UWSGI_SCHEME", "http"), ("HTTPS", "on")], "http"),
        (&[("UWSGI_SCHEME", "HTTPS")], "https"),
        (&[("UWSGI_SCHEME", "ftp"), ("HTTPS", "on")], "https"),
        (&[("UWSGI_SCHEME", "")], "http"),
        (&[("SERVER_PORT", "443")], "http"),
        (&[("HTTP_X_FORWARDED_PROTO", "https")], "http"),
        (&[("HTTP_X_FORWARDED_SSL", "on")], "http"),
        (&[("HTTP_HTTPS", "on")], "http"),
        (
            &[("HTTPS", "on"), ("HTTP_X_FORWARDED_PROTO", "http")],
            "https",
        ),
    ];
    for (vars, expected) in cases {
        println!("{vars:?}");
        assert_entries(vars, &[("wsgi.url_scheme", Some(expected))]);
    }
}

#[test]
fn forwarded_scheme_counts_when_it_is_trusted() {
    let trusting = ServerInfo {
        forwarded_proto: ForwardedProto::Trust,
        ..server_info()
    };
    let cases: &[(Vars<'_>, &str)] = &[
        (&[("HTTP_X_FORWARDED_PROTO", "https")], "https"),
        (&[("HTTP_X_FORWARDED_PROTO", "HTTPS , http")], "https"),
        (&[("HTTP_X_FORWARDED_PROTO", "http, https")], "http"),
        (
            &[("HTTP_X_FORWARDED_PROTO", "http"), ("HTTPS", "on")],
            "http",
        ),
        (
            &[("HTTP_X_FORWARDED_PROTO", "ftp"), ("HTTPS", "on")],
            "https",
        ),
        (&[("HTTP_X_FORWARDED_PROTO", ""), ("HTTPS", "on")], "https"),
        (
            &[
                ("HTTP_X_FORWARDED_PROTO", "https"),
                ("HTTP_X_FORWARDED_PROTO", "http"),
            ],
            "http",
        ),
        (&[("HTTPS", "on")], "https"),
    ];
    Python::attach(|py| {
        // One slot: each case also meets what the one before left behind.
        let mut slot = Slot::with(py, &trusting);
        for (vars, expected) in cases.iter().chain(cases) {
            let environ = slot.build(vars);
            assert_eq!(
                text(&environ, "wsgi.url_scheme").unwrap(),
                *expected,
                "{vars:?}"
            );
        }
        let environ = slot.build(cases[6].0);
        assert_eq!(text(&environ, "HTTP_X_FORWARDED_PROTO").unwrap(), "http");
    });
}

#[test]
fn nothing_of_a_request_reaches_the_next() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        for round in 0..100 {
            let token = format!("token-{round}");
            let shape = round % 11;
            let vars: Vec<_> = (0..=shape)
                .map(|n| (format!("HTTP_X_{n}"), format!("{token}-{n}")))
                .collect();
            let environ = slot.build_packet(&packet(&vars), ScriptName::AsSent);
            for (key, value) in &vars {
                assert_eq!(text(&environ, key).as_ref(), Some(value));
            }
            assert_eq!(environ.len(), 17 + vars.len(), "round {round}");
        }
    });
}

#[test]
fn value_that_goes_and_comes_back_is_exact_each_time() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let long = "x".repeat(5000);
        for value in ["a", "", "b", "b", &long, "c", "", "\u{e9}", "a"] {
            let environ = slot.build(&[("HTTP_COOKIE", value), ("HTTP_HOST", "h")]);
            let expected: String = value.bytes().map(char::from).collect();
            assert_eq!(text(&environ, "HTTP_COOKIE"), Some(expected));
            assert_eq!(text(&environ, "HTTP_HOST").unwrap(), "h");
        }
    });
}

#[test]
fn environ_is_the_applications_own() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let vars = [("HTTP_HOST", "h"), ("REMOTE_USER", "ann")];
        let kept = slot.build(&vars);
        let again = slot.build(&vars);
        assert!(!kept.is(&again));

        let cleared = slot.build(&vars);
        cleared.clear();
        let changed = slot.build(&vars);
        changed.set_item("REMOTE_USER", "root").unwrap();
        changed.set_item("wsgi.url_scheme", "ftp").unwrap();
        changed.set_item("app.state", 1).unwrap();

        let fresh = slot.build(&[("HTTP_HOST", "other"), ("REMOTE_USER", "ann")]);
        assert_eq!(text(&fresh, "REMOTE_USER").unwrap(), "ann");
        assert_eq!(text(&fresh, "wsgi.url_scheme").unwrap(), "http");
        assert_eq!(fresh.len(), 17 + 2);
        assert_eq!(text(&kept, "HTTP_HOST").unwrap(), "h");
        assert_eq!(text(&kept, "REMOTE_USER").unwrap(), "ann");
    });
}

#[test]
fn thousands_of_names_are_served_and_not_all_interned() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        for round in 0..5 {
            let vars: Vec<_> = (0..1000)
                .map(|n| (format!("HTTP_NAME_{round}_{n}"), n.to_string()))
                .collect();
            let environ = slot.build_packet(&packet(&vars), ScriptName::AsSent);
            assert_eq!(environ.len(), 17 + 1000);
            assert_eq!(
                text(&environ, &format!("HTTP_NAME_{round}_999")).unwrap(),
                "999"
            );
        }
    });
}

#[test]
fn names_are_interned() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        for _ in 0..2 {
            let names = PyDict::new(py);
            let environ = slot.build(&[("HTTP_X_LEARNED_NAME", "1"), ("HTTP_HOST", "h")]);
            names.set_item("environ", environ).unwrap();
            for name in [
                "HTTP_X_LEARNED_NAME",
                "HTTP_HOST",
                "SERVER_NAME",
                "wsgi.input",
            ] {
                let interned = format!("__import__('sys').intern('{name}')");
                let expression = format!("any(key is {interned} for key in environ)");
                assert_eq!(eval(py, &expression, &names), "True", "{name}");
            }
        }
    });
}

#[test]
fn two_slots_share_nothing_but_the_log() {
    Python::attach(|py| {
        let errors = Bound::new(py, Log::default().errors()).unwrap();
        let (mut one, mut two) = (builder(py, &errors), builder(py, &errors));
        let input = Input::new(py, Body::empty()).unwrap();
        let (a, b) = (packet(&[("HTTP_X", "a")]), packet(&[("HTTP_X", "b")]));
        let a = one
            .build(
                py,
                a.vars.as_ref(),
                ScriptName::AsSent,
                RequestId::Sent,
                &input,
            )
            .unwrap();
        let b = two
            .build(
                py,
                b.vars.as_ref(),
                ScriptName::AsSent,
                RequestId::Sent,
                &input,
            )
            .unwrap();
        assert_eq!(text(&a, "HTTP_X").unwrap(), "a");
        assert_eq!(text(&b, "HTTP_X").unwrap(), "b");
    });
}

#[test]
fn request_id_is_the_last_that_was_sent_or_the_servers_own() {
    Python::attach(|py| {
        let mut slot = Slot::new(py);
        let sent = |ids: &[&'static str]| -> Vec<_> {
            ids.iter().map(|id| ("HTTP_X_REQUEST_ID", *id)).collect()
        };
        let (made, other) = (RequestId::Made("made"), RequestId::Made("other"));
        for (ids, request_id, expected) in [
            (sent(&["one"]), RequestId::Sent, "one"),
            (sent(&["one"]), RequestId::Sent, "one"),
            (sent(&["two"]), RequestId::Sent, "two"),
            (sent(&["t w o"]), made, "made"),
            (sent(&["t w o"]), other, "other"),
            (sent(&["two"]), RequestId::Sent, "two"),
            (sent(&["one", "two"]), RequestId::Sent, "two"),
            (sent(&["one", "three"]), RequestId::Sent, "three"),
            (sent(&["two", "three"]), RequestId::Sent, "three"),
            (sent(&[]), made, "made"),
            (sent(&[]), other, "other"),
        ] {
            let environ = slot.build_with(&packet(&ids), ScriptName::AsSent, request_id);
            let id = text(&environ, "scoter.request_id");
            assert_eq!(id.as_deref(), Some(expected), "{ids:?}, {request_id:?}");
            let header = text(&environ, "HTTP_X_REQUEST_ID");
            assert_eq!(header.as_deref(), ids.last().map(|(_, id)| *id));
        }
        let forged = packet(&[("scoter.request_id", "forged")]);
        let environ = slot.build_with(&forged, ScriptName::AsSent, made);
        assert_eq!(text(&environ, "scoter.request_id").as_deref(), Some("made"));
    });
}
