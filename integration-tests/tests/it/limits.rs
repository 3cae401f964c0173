//! Requests that are too large, and requests that have waited for too long.

use std::time::{Duration, SystemTime};

use integration_tests::{
    Connections, Reply, Scoter, ScoterBuilder, Site, elapse, get, passed_on, through_nginx, until,
    with,
};
use serde_json::{Value, json};
use uwsgi_codec::PacketBuilder;

fn serving(options: &[&str]) -> ScoterBuilder {
    Scoter::serving("limits")
        .args(["--no-master", "--threads", "1"])
        .args(options)
}

/// A request that the application reports as `got NAME`, handed over so long ago by a front end's clock.
fn handed_over(name: &str, ago: Duration) -> PacketBuilder {
    passed_on(with(get("/"), [("QUERY_STRING", name)]), ago)
}

fn started(name: &str, start: &str) -> PacketBuilder {
    with(
        get("/"),
        [("QUERY_STRING", name), ("HTTP_X_REQUEST_START", start)],
    )
}

#[track_caller]
fn ask(scoter: &Scoter, packet: &PacketBuilder) -> Reply {
    scoter.connect().packet(packet).reply()
}

fn got(scoter: &Scoter, name: &str) -> bool {
    scoter
        .events()
        .iter()
        .any(|event| *event == format!("got {name}"))
}

#[through_nginx(gateway)]
fn body_beyond_the_limit_is_refused_before_the_application_runs(connections: Connections) {
    let site = Site::with(serving(&["--max-body", "1M"]), connections, |nginx| {
        nginx.extra(
            "client_max_body_size 0;
             location / {
                 include scoter/uwsgi_params;
                 uwsgi_request_buffering off;
                 uwsgi_pass scoter;
             }",
        )
    });
    for client in [site.client().clone(), site.extra()] {
        for _ in 0..3 {
            let reply = client.post("/?large", vec![b'x'; 2 << 20]);
            assert_eq!((reply.status, &*reply.reason), (413, "Content Too Large"));
            assert!(reply.text().contains("--max-body"), "{}", reply.text());
        }
        let reply = client.post("/?fits", vec![b'x'; 1 << 20]);
        assert_eq!(
            (reply.status, reply.body.len()),
            (200, (1 << 20) + "got fits".len())
        );
    }
    assert!(!got(site.scoter(), "large"));
    assert_eq!(site.failures(), "");
}

#[test]
fn refused_requests_are_in_both_logs() {
    let mut scoter = serving(&["--max-body", "1k", "--queue-timeout", "5s"])
        .args(["--slow-request", "1ms", "--access-log-format", "json"])
        .start();
    let identified = |packet, id| with(packet, [("REQUEST_URI", id), ("HTTP_X_REQUEST_ID", id)]);
    let large = with(identified(get("/"), "large"), [("CONTENT_LENGTH", "3000")]);
    let late = identified(handed_over("late", Duration::from_secs(20)), "late");
    let replies = [&large, &late].map(|packet| ask(&scoter, packet));
    let finished = scoter.stop();
    let lines: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (&line["uri"], &line["status"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("large"), &json!(413)),
            (&json!("late"), &json!(503))
        ]
    );
    for (line, reply) in lines.iter().zip(&replies) {
        assert_eq!(line["request_id"], line["uri"]);
        assert_eq!(line["bytes"], reply.body.len());
        assert!(
            line["duration_ms"].is_number() && line["slot"].is_null(),
            "{line}"
        );
    }
    assert!(lines[0]["queue_ms"].is_null(), "{}", lines[0]);
    assert!(
        lines[1]["queue_ms"].as_f64() > Some(19_000.0),
        "{}",
        lines[1]
    );

    let log = finished.stderr;
    let warning = log
        .lines()
        .find(|line| line.contains("request refused"))
        .expect("a warning");
    for field in [
        "method=\"GET\"",
        "uri=\"large\"",
        "request_id=\"large\"",
        "--max-body is 1024",
    ] {
        assert!(warning.contains(field), "{field}: {warning}");
    }
    assert!(
        !log.contains("slow request") && !log.contains("uri=\"late\""),
        "{log}"
    );
}

#[test]
fn more_variables_than_allowed_are_refused() {
    let scoter = serving(&["--max-vars", "10"]).start();
    let of = |count: usize| {
        let filled = get("/");
        let missing = count - filled.build().expect("fits").vars.len();
        with(
            filled,
            (0..missing).map(|number| (format!("X{number}"), "")),
        )
    };
    assert_eq!(ask(&scoter, &of(10)).status, 200);
    let reply = ask(&scoter, &of(11));
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("--max-vars"), "{}", reply.text());
}

#[test]
fn request_that_waited_for_too_long_is_refused() {
    let scoter = serving(&["--queue-timeout", "5s"]).start();
    let reply = ask(&scoter, &handed_over("late", Duration::from_secs(20)));
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("Retry-After"), Some("1"));
    assert!(!got(&scoter, "late"));
    let reply = ask(&scoter, &handed_over("in-time", Duration::from_secs(1)));
    assert_eq!(reply.text(), "got in-time");
}

#[test]
fn clocks_of_front_ends_are_understood_or_ignored() {
    let scoter = serving(&["--queue-timeout", "5s"]).start();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970");
    let then = now - Duration::from_secs(60);
    let seconds = then.as_secs();
    for start in [
        format!("t={seconds}.123"),
        format!("{seconds}.123456"),
        format!("{seconds}"),
        format!("{}", then.as_millis()),
        format!("t={}", then.as_micros()),
    ] {
        assert_eq!(
            ask(&scoter, &started("late", &start)).status,
            503,
            "{start}"
        );
    }
    for start in [
        String::new(),
        "t=".to_owned(),
        "soon".to_owned(),
        "-1".to_owned(),
        "0".to_owned(),
        format!("t={}.000", now.as_secs() + 3_600),
        format!("t={}.000", now.as_secs() - 2 * 86_400),
    ] {
        assert_eq!(
            ask(&scoter, &started("served", &start)).status,
            200,
            "{start}"
        );
    }
}

#[test]
fn overload_does_not_flood_the_log() {
    let mut scoter = serving(&["--queue-timeout", "5s"]).start();
    for _ in 0..100 {
        let late = handed_over("late", Duration::from_secs(20));
        assert_eq!(ask(&scoter, &late).status, 503);
    }
    let log = scoter.stop().stderr;
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("--queue-timeout"))
        .collect();
    assert!(
        lines.len() < 10 && lines.iter().all(|line| line.contains("WARN")),
        "{log}"
    );
    let counts = lines.iter().filter_map(|line| {
        let (_, rest) = line.split_once("count=")?;
        rest.split_whitespace().next()?.parse::<u32>().ok()
    });
    assert_eq!(counts.sum::<u32>(), 100, "{log}");
}

#[test]
fn wait_is_measured_from_accept_where_no_clock_is_sent() {
    let scoter = serving(&["--queue-timeout", "300ms"]).start();
    let gate = scoter.gate("first");
    let packet = with(get("/"), [("QUERY_STRING", "late")])
        .to_vec()
        .expect("fits");
    // The slot hands it to the reactor before it takes the next one.
    let mut half = scoter.connect();
    half.send(&packet[..10]);
    let mut first = scoter.connect();
    first.packet(&with(get("/waits"), [("QUERY_STRING", "first")]));
    scoter.wait_for_event("got first");
    half.send(&packet[10..]);
    elapse(Duration::from_millis(400));
    gate.open();
    assert_eq!(first.reply().text(), "got first");
    assert_eq!(half.reply().status, 503);
    assert!(!got(&scoter, "late"));
}

#[test]
fn request_whose_peer_has_gone_is_never_run() {
    let mut scoter = serving(&["--log-level", "debug"]).start();
    let gate = scoter.gate("first");
    let mut first = scoter.connect();
    first.packet(&with(get("/waits"), [("QUERY_STRING", "first")]));
    scoter.wait_for_event("got first");
    // In the kernel's queue until the only slot is free, each with its last word said.
    let gone = Duration::from_secs(1);
    scoter.connect().packet(&handed_over("gone", gone));
    let mut half_closed = scoter.connect();
    half_closed
        .packet(&handed_over("half-closed", gone))
        .finish();
    gate.open();
    assert_eq!(first.reply().text(), "got first");
    assert_eq!(half_closed.reply().text(), "got half-closed");

    // Nobody's clock tells how long these have waited; a slot that was busy for long does.
    let gate = scoter.gate("long");
    let mut long = scoter.connect();
    long.packet(&with(get("/waits"), [("QUERY_STRING", "long")]));
    scoter.wait_for_event("got long");
    for _ in 0..3 {
        let packet = with(get("/"), [("QUERY_STRING", "gone")]);
        scoter.connect().packet(&packet);
    }
    // A peer is looked at once its request may have waited for 50 ms.
    elapse(Duration::from_millis(100));
    gate.open();
    assert_eq!(long.reply().text(), "got long");
    assert_eq!(ask(&scoter, &get("/")).text(), "got ");
    assert!(!got(&scoter, "gone"));
    until("each is said to have gone, to those who debug", || {
        let log = scoter.stderr();
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("before its turn"))
            .collect();
        (lines.len() == 4 && lines.iter().all(|line| line.contains("DEBUG"))).then_some(())
    });
    assert_eq!(scoter.stop().stdout.lines().count(), 4);
}
